import { describe, expect, it } from '@jest/globals';
import { changesOf, document, endpoint, expectRefusal, id, ids, network, staging } from '../../test/documents.ts';
import { decideNetwork, highestVni, type NetworkFacts, type Numbers } from './network.ts';

const numbers = (vni = 7): Numbers => ({ newId: ids(), nextVni: async () => vni, nextNetwork: async () => 3 });
const routingDomain = document('routing-domain', 'default', {}, { vni: 5 }, { id: id(920), ...staging });
const nothing: NetworkFacts = { current: undefined, networks: [], endpoints: [], routingDomain };
const main = network('main', ['10.0.0.0/24', '10.0.1.0/24']);
const apply = (name: string, subnets: string[], facts: Partial<NetworkFacts> = {}, more = {}) => decideNetwork(staging, { name, spec: { subnets }, ...more }, { ...nothing, ...facts }, numbers());

describe('a network', () => {
  it('is made in the routing domain of its environment', async () => {
    expect(await apply('main', ['10.0.0.0/24'])).toMatchObject({ puts: [{ kind: 'network', id: id(1), name: 'main', status: { routingDomain: id(920), vni: 5, number: 3 } }] });
  });
  it('brings the routing domain with it where that is not made yet, in front of itself', async () => {
    expect(await apply('main', ['10.0.0.0/24'], { routingDomain: undefined })).toMatchObject({
      puts: [{ kind: 'routing-domain', id: id(1), ...staging, status: { vni: 7 } }, { kind: 'network', status: { routingDomain: id(1), vni: 7 } }],
    });
  });
  it('takes no number where it changes nothing or only its subnets', async () => {
    const facts = { current: main, networks: [main] };
    expect(changesOf(await apply('main', ['10.0.0.0/24', '10.0.1.0/24'], facts))).toEqual([]);
    expect(await apply('main', ['10.0.0.0/24'], facts)).toMatchObject({ puts: [{ id: main.id, spec: { subnets: ['10.0.0.0/24'] }, status: main.status }] });
  });
  it('does not overlap another of its environment, and may overlap what it was itself', async () => {
    expectRefusal(await apply('other', ['10.0.1.128/25'], { networks: [main] }), 'overlapping-subnet', 'spec.subnets[0]');
    expect(changesOf(await apply('main', ['10.0.0.0/16'], { current: main, networks: [main] }))).toHaveLength(1);
  });
  it('keeps the subnets that its endpoints have addresses in', async () => {
    const facts = { current: main, networks: [main], endpoints: [endpoint('cart', '10.0.1.5')] };
    expectRefusal(await apply('main', ['10.0.0.0/24'], facts), 'in-use', 'spec.subnets');
    expect(changesOf(await apply('main', ['10.0.1.0/24'], facts))).toHaveLength(1);
  });
  it('is refused where its author expected another version', async () => expectRefusal(await apply('main', ['10.0.0.0/24'], {}, { expectedVersion: 1 }), 'version-conflict', 'expectedVersion'));
  it('is refused when the VNIs are used up', async () => {
    const last = await decideNetwork(staging, { name: 'main', spec: { subnets: ['10.0.0.0/24'] } }, { ...nothing, routingDomain: undefined }, numbers(highestVni));
    expect(changesOf(last)).toHaveLength(2);
    const beyond = await decideNetwork(staging, { name: 'main', spec: { subnets: ['10.0.0.0/24'] } }, { ...nothing, routingDomain: undefined }, numbers(highestVni + 1));
    expectRefusal(beyond, 'vnis-exhausted', 'environment');
  });
});
