import { describe, expect, it } from '@jest/globals';
import type { Document } from '@osier/contracts/document';
import { changesOf, expectRefusal, id, lease, network, production, staging } from '../../test/documents.ts';
import { formatIpv4, parseIpv4 } from '../net/ipv4.ts';
import { allocate, decideRelease, decideReserve, macOf, notForYou } from './lease.ts';

const taken = (...addresses: string[]): Set<number> => new Set(addresses.map((a) => parseIpv4(a) as number));
const ask = (subnets: string[], held: string[], requested?: string) => {
  const answer = allocate({ subnets, taken: taken(...held), requested, network: 'acme/shop/staging/main' });
  return 'refused' in answer ? answer.refused : formatIpv4(answer.address);
};

describe('the address of a new endpoint', () => {
  it.each<[string, string[], string[], string | undefined, string]>([
    ['the first after the network itself', ['10.0.0.0/24'], [], undefined, '10.0.0.1'],
    ['the lowest that is free', ['10.0.0.0/24'], ['10.0.0.1', '10.0.0.2', '10.0.0.4'], undefined, '10.0.0.3'],
    ['of the next subnet when one is full', ['10.0.0.0/30', '10.0.1.0/30'], ['10.0.0.1', '10.0.0.2'], undefined, '10.0.1.1'],
    ['both of a /31', ['10.0.0.0/31'], ['10.0.0.0'], undefined, '10.0.0.1'],
    ['the one of a /32', ['10.0.0.7/32'], [], undefined, '10.0.0.7'],
    ['the one asked for', ['10.0.0.0/24'], ['10.0.0.1'], '10.0.0.200', '10.0.0.200'],
    ['asked for in the second subnet', ['10.0.0.0/24', '10.0.1.0/24'], [], '10.0.1.9', '10.0.1.9'],
  ])('is %s', (_what, subnets, held, requested, expected) => expect(ask(subnets, held, requested)).toBe(expected));

  it.each<[string, string[], string[], string | undefined, string]>([
    ['address-outside-subnets', ['10.0.0.0/24'], [], '10.0.1.1', 'spec.address'],
    ['address-reserved', ['10.0.0.0/24'], [], '10.0.0.0', 'spec.address'],
    ['address-reserved', ['10.0.0.0/24'], [], '10.0.0.255', 'spec.address'],
    ['address-taken', ['10.0.0.0/24'], ['10.0.0.9'], '10.0.0.9', 'spec.address'],
    ['addresses-exhausted', ['10.0.0.0/30'], ['10.0.0.1', '10.0.0.2'], undefined, 'spec.network'],
  ])('is refused: %s', (code, subnets, held, requested, path) => {
    const answer = ask(subnets, held, requested);
    expectRefusal(typeof answer === 'string' ? undefined : answer, code, path);
  });
});

describe('the MAC of an address', () => {
  it('is local, carries the address and tells VNIs apart', () => {
    expect(macOf(parseIpv4('10.0.0.7') as number, 5)).toBe('02:05:0a:00:00:07');
    expect(macOf(parseIpv4('255.255.255.255') as number, 0xff_00_00)).toBe('02:ff:ff:ff:ff:ff');
    expect(macOf(parseIpv4('10.0.0.7') as number, 6)).not.toBe(macOf(parseIpv4('10.0.0.7') as number, 5));
  });
});

describe('lease.reserve', () => {
  const main = network('main', ['10.0.0.0/24']);
  const reserve = (more: { network?: Document<'network'> | undefined; held?: Document<'lease'>; taken?: Set<number>; address?: string } = {}) =>
    decideReserve(staging, { network: main.id, endpoint: id(5), ...(more.address === undefined ? {} : { address: more.address }) },
      { network: 'network' in more ? more.network : main, held: more.held, taken: more.taken ?? taken() });

  it('gives the lease the id of the endpoint, and the name of the address', () => {
    expect(reserve()).toEqual({
      result: 'accepted',
      puts: [{
        kind: 'lease', id: id(5), name: '10.0.0.1', parent: main.id, phase: 'active', ...staging,
        spec: { network: main.id, endpoint: id(5) }, status: { address: '10.0.0.1', mac: '02:07:0a:00:00:01' },
      }],
    });
  });
  it('is the same lease when asked again', () => expect(changesOf(reserve({ held: lease('10.0.0.9', { id: id(5) }) }))).toEqual([]));
  it('does not give what is held in the environment', () => {
    expect(changesOf(reserve({ taken: taken('10.0.0.1') }))).toMatchObject([{ name: '10.0.0.2' }]);
    expectRefusal(reserve({ taken: taken('10.0.0.1'), address: '10.0.0.1' }), 'address-taken', 'spec.address');
  });
  it('refuses a network that is not there, or is of another environment', () => {
    expectRefusal(reserve({ network: undefined }), 'unknown-network', 'spec.network');
    expectRefusal(reserve({ network: network('main', ['10.0.0.0/24'], production) }), 'unknown-network', 'spec.network');
  });
  it('is for topology to ask only', () => {
    expect(notForYou('osier-topology')).toBeUndefined();
    for (const credential of ['alice', 'api', 'osier-tenant', 'osier-topology2', '']) expectRefusal(notForYou(credential), 'not-allowed', 'subject.credential');
  });
});

describe('lease.release', () => {
  it('leaves a tombstone once, and nothing the second time', () => {
    expect(changesOf(decideRelease(lease('10.0.0.1')))).toEqual([{ kind: 'lease', name: '10.0.0.1', phase: 'deleted' }]);
    expect(changesOf(decideRelease(undefined))).toEqual([]);
  });
});
