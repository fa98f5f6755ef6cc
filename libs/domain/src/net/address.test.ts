import { describe, expect, it } from '@jest/globals';
import { contains, parseAddress, parseBlock } from './address.ts';

const inside = (block: string, address: string): boolean | undefined => {
  const [a, b] = [parseBlock(block)?.block, parseAddress(address)];
  return a === undefined || b === undefined ? undefined : contains(a, b);
};

describe('addresses', () => {
  it.each(['10.0.0.1', '0.0.0.0', '255.255.255.255', '010.000.0.01', '::', '::1', 'fd00::1', 'FD00:0:0:0:0:0:0:1', '1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8', '64:ff9b::192.0.2.1'])('%s is one', (text) => {
    expect(parseAddress(text)).toBeDefined();
  });
  it.each(['', '10.0.0', '10.0.0.0.1', '10.0.0.256', '10.0.0.1 ', '10.0.0.-1', '0x10.0.0.1', ':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7::8', 'g::', '12345::', '::1.2.3', '1.2.3.4::', 'fe80::1%eth0'])('%j is none', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
  it('an IPv4-mapped IPv6 address is the IPv4 address', () => {
    expect(parseAddress('::ffff:10.0.0.1')).toEqual(parseAddress('10.0.0.1'));
  });
});

describe('blocks', () => {
  it.each<[string, string, boolean]>([
    ['10.0.0.0/8', '10.255.255.255', true], ['10.0.0.0/8', '11.0.0.0', false], ['10.0.0.0/9', '10.128.0.0', false], ['10.0.0.8/31', '10.0.0.9', true], ['10.0.0.8/31', '10.0.0.10', false],
    ['10.0.0.77/25', '10.0.0.0', true], ['0.0.0.0/0', '255.1.2.3', true], ['0.0.0.0/0', '::1', false], ['::/0', '10.0.0.1', false], ['::/0', 'ffff::', true], ['10.0.0.1/32', '10.0.0.1', true],
    ['fd00::/8', 'fdff::1', true], ['fd00::/8', 'fe00::', false], ['fd00::8/127', 'fd00::9', true], ['fd00::8/127', 'fd00::a', false], ['8000::/1', '7fff::', false], ['2001:db8::/33', '2001:db8:8000::', false],
    ['::ffff:10.0.0.0/104', '10.9.9.9', true], ['::ffff:10.0.0.0/104', '11.0.0.0', false], ['::ffff:0:0/95', '10.0.0.1', false],
  ])('%s, %s: %s', (block, address, expected) => {
    expect(inside(block, address)).toBe(expected);
  });
  it.each([['10.0.0.0/8', undefined], ['10.0.0.1/8', 'host bits'], ['010.0.0.0/8', 'leading zeros'], ['10.0.0.0/08', 'leading zeros'], ['::ffff:10.0.0.0/104', 'IPv4-mapped'], ['fd00::1/64', 'host bits'], ['0::/0', undefined]])('%s: %s', (text, oddity) => {
    expect(parseBlock(text)?.oddity).toBe(oddity);
  });
});
