import { describe, expect, it } from '@jest/globals';
import { randomOf } from '../../test/reach/random.ts';
import { cluster } from '../../test/reach/worlds.ts';
import { checkObject, worldOf } from '../kubernetes/cluster.ts';
import { decide } from '../rules/decide.ts';
import { hasOpaque, type IndexedWorld, indexWorld } from '../rules/index-world.ts';
import type { Party, Side } from '../rules/model.ts';
import { readAssertions } from './assertions.ts';
import { checker } from './check.ts';
import { type PacketQuestion, packetCheck } from './packets.ts';

const isHere = (side: Side): boolean => side.type === 'party' && side.host !== true && side.addresses.some(({ family }) => family === 4);
/** Only whom packets can be sent between, with nothing outside: the same question to both kinds of witness. */
function pods(seed: number): IndexedWorld | undefined {
  const world = worldOf(cluster(randomOf(seed)).map((object) => checkObject(JSON.parse(JSON.stringify(object))).manifest));
  return hasOpaque(world) ? undefined : indexWorld({ ...world, nodes: [], parties: world.parties.filter(isHere).map((party): Party => ({ ...party, addresses: party.addresses.filter(({ family }) => family === 4), segment: [{ name: 'lab', why: 'unreachable' }] })) });
}
const by = (index: IndexedWorld) => ({ from, to, protocol, port }: PacketQuestion): boolean =>
  decide(index, { from: index.party(from) as Party, to: index.party(to) as Party, protocol, port, family: 4 }).verdict === 'Allow';
const read = (...written: unknown[]) => readAssertions({ assertions: written.map((one, i) => ({ name: String(i), mayBeEmpty: true, ...one as object })) }, 'kubernetes').assertions;
const all = read(
  { from: { namespace: 'x' }, to: { namespace: 'y' }, expect: 'deny' }, { from: {}, to: { labels: { app: 'a' } }, expect: 'deny', ports: ['TCP/80', 'UDP/53', 'SCTP/79-81'] },
  { from: { labels: { env: 'a' } }, to: { namespace: 'x' }, expect: 'allow', ports: ['TCP/443'] }, { from: { namespace: 'shop' }, to: {}, expect: 'allow' },
  { to: { labels: { app: 'b' } }, onlyFrom: { labels: { app: 'a' } }, ports: ['TCP/5432'] }, { to: { namespace: 'z' }, onlyFrom: { namespace: 'z' }, ports: ['TCP/81'], otherPorts: 'ignored' },
  { from: { namespace: 'y' }, onlyTo: { namespace: 'y' } },
);

describe('assertions by packets', () => {
  it('find what the rules find, where packets meet what the rules say', () => {
    const results = new Map<string, number>();
    for (let seed = 1; seed <= 60; seed++) {
      const index = pods(seed);
      if (index === undefined) continue;
      const check = packetCheck(index, all, isHere);
      const outcomes = check.outcomes(check.questions.map(by(index)));
      const expected = all.map(checker(index, all));
      outcomes.forEach((outcome, i) => {
        const computed = expected[i];
        // ICMP has no ports; where it alone decides, the rules know more than the packets asked about.
        const icmp = computed?.result === 'fails' && computed.counterexample.protocol === 'ICMP';
        if (!icmp && outcome.result !== computed?.result) throw new Error(`seed ${seed}, assertion ${i}: packets ${JSON.stringify(outcome)}, rules ${JSON.stringify(computed)}`);
        results.set(outcome.result, (results.get(outcome.result) ?? 0) + 1);
      });
    }
    expect(results.get('holds')).toBeGreaterThan(50);
    expect(results.get('fails')).toBeGreaterThan(50);
  });

  it('find a packet that gets through although the rules say it does not, and one that does not although they say it does', () => {
    const parties = ['a', 'b'].map((app): Party => ({ type: 'party', name: `x/${app}`, scope: 'x', tags: { app }, addresses: [{ family: 4, bytes: [10, 0, 0, app.charCodeAt(0)] }], ports: [{ name: '', protocol: 'TCP', port: 8080 }] }));
    const index = indexWorld({ scopes: [{ name: 'x', tags: {} }], nodes: [], parties, policies: [] });
    const check = packetCheck(index, read({ from: { pod: 'a' }, to: { pod: 'b' }, expect: 'allow', ports: ['TCP/8080'] }, { from: { pod: 'b' }, to: { pod: 'a' }, expect: 'deny' }), isHere);
    expect(check.questions.map(({ from, protocol, port }) => `${from} ${protocol} ${port}`)).toEqual(['x/a TCP 8080', 'x/b TCP 443', 'x/b TCP 8080', 'x/b TCP 8081', 'x/b UDP 443', 'x/b SCTP 443']);
    expect(check.outcomes([true, false, false, false, false, false]).map(({ result }) => result)).toEqual(['holds', 'holds']);
    expect(check.outcomes([false, false, true, false, false, false])).toMatchObject([
      { result: 'fails', counterexample: { expected: 'allow', from: 'x/a', to: 'x/b', protocol: 'TCP', port: 8080, decision: { verdict: 'Allow' } } },
      { result: 'fails', counterexample: { expected: 'deny', from: 'x/b', to: 'x/a', protocol: 'TCP', port: 8080 } },
    ]);
  });
});
