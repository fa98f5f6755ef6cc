import { describe, expect, it } from '@jest/globals';
import { addressText, parseAddress, parseBlock } from '../net/address.ts';
import { outsideClasses } from './outside.ts';
import { joined, portsText, within, without } from './ports.ts';

const protocols = ['TCP', 'UDP', 'ICMP'];
const tcp = (first: number, last = first): { protocol: string; first: number; last: number } => ({ protocol: 'TCP', first, last });

describe('ports', () => {
  it('are joined, cut and left over', () => {
    expect(joined([{ first: 5, last: 9 }, { first: 1, last: 4 }, { first: 11, last: 12 }])).toEqual([{ first: 1, last: 9 }, { first: 11, last: 12 }]);
    expect(within([{ first: 1, last: 10 }], [{ first: 8, last: 20 }, { first: 3, last: 3 }])).toEqual([{ first: 3, last: 3 }, { first: 8, last: 10 }]);
    expect(without('TCP', [{ first: 1, last: 10 }, { first: 12, last: 65_535 }])).toEqual([{ first: 11, last: 11 }]);
    expect(without('ICMP', [])).toEqual([{ first: 0, last: 65_535 }]);
  });
  it.each([
    [[tcp(80), tcp(443)], 'TCP/80, TCP/443'],
    [[tcp(1, 65_535)], 'TCP'],
    [[tcp(1, 79), tcp(81, 65_535), { protocol: 'UDP', first: 1, last: 65_535 }, { protocol: 'ICMP', first: 0, last: 65_535 }], 'every port but TCP/80'],
    [[tcp(1, 65_535), { protocol: 'UDP', first: 1, last: 65_535 }, { protocol: 'ICMP', first: 0, last: 65_535 }], 'every port'],
    [[{ protocol: 'ICMP', first: 8 << 8, last: 8 << 8 }], 'ICMP/8.0'],
  ])('%j are written %s', (ports, text) => expect(portsText(ports, protocols)).toBe(text));
});

describe('an address', () => {
  it.each(['10.0.0.1', '2001:db8::1', '::', '::1', 'fe80::', '1:0:0:2::3', '1:2:3:4:5:6:7:8', '0:1:0:1:0:1:0:1'])('%s is written as it was read', (text) => {
    const address = parseAddress(text);
    expect(address && addressText(address)).toBe(text);
  });
});

describe('addresses outside', () => {
  const classes = (held: string[], ...blocks: string[]): string[] => outsideClasses(
    [{ scopes: [], policies: [], nodes: [], parties: [{ type: 'party', name: 'a/x', scope: 'a', tags: {}, ports: [], addresses: held.map((text) => parseAddress(text) as NonNullable<ReturnType<typeof parseAddress>>) }] }],
    blocks.map((text) => parseBlock(text)?.block as NonNullable<ReturnType<typeof parseBlock>>['block']),
  ).map(({ label, side }) => `${label}: ${side.name}`);
  it('are as many classes as blocks make, each with an address that nobody has', () => {
    expect(classes([])).toEqual(['any other IPv4 address: 203.0.113.1', 'any other IPv6 address: 2001:db8::1']);
    expect(classes(['10.1.0.1', '203.0.113.1'], '10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0')).toEqual(['any other IPv4 address: 198.51.100.1', '10.0.0.0/8: 10.0.0.1', '10.1.0.0/16: 10.1.0.2', 'any other IPv6 address: 2001:db8::1']);
  });
  it('of a block that is one address which somebody has are none', () => expect(classes(['10.1.0.1'], '10.1.0.1/32')).toEqual(['any other IPv4 address: 203.0.113.1', 'any other IPv6 address: 2001:db8::1']));
});
