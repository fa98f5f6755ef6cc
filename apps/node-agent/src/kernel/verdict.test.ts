import { describe, expect, it } from '@jest/globals';
import { type Document, pathOf } from '@osier/contracts/document';
import { documentSubject } from '@osier/contracts/subjects';
import { fakeKernel } from '@osier/dataplane/fake';
import { mapped16 } from '@osier/domain/net/ipv4';
import { attest } from '@osier/domain/reconcile/attest';
import { desired } from '@osier/domain/reconcile/desired';
import { plan } from '@osier/domain/reconcile/plan';
import { policyOf } from '@osier/domain/reconcile/policies';
import { type Highest, nothingGiven, number } from '@osier/domain/reconcile/tables';
import { createView } from '@osier/domain/reconcile/view';
import { decide } from '@osier/domain/rules/decide';
import { indexWorld } from '@osier/domain/rules/index-world';
import { osierParty, scopeTagsOf } from '@osier/domain/rules/osier';
import { make, production, staging } from '../../test/world.ts';
import { kernelRoom, sha256 } from '../enforce.ts';
import { readTables } from './records.ts';
import { carryOut } from './writer.ts';

/** mulberry32 */
function random(seed: number): (below: number) => number {
  let a = seed;
  return (below) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const networks = [make.network(101, staging), make.network(102, production)];
type Endpoint = Document<'endpoint'>;
type Policy = Document<'policy'> | Document<'project-policy'>;
interface Scene { readonly endpoints: Endpoint[]; readonly policies: Policy[] }

/** Two environments with equal addresses, some rules; a later scene differs from the former in anything. */
function scene(next: (below: number) => number): Scene {
  const pick = <T>(list: readonly T[]): T => list[next(list.length)] as T;
  const selector = () => (next(4) === 0 ? {} : { matchTags: { [pick(['app', 'tier'])]: pick(['a', 'b', 'c']) } });
  const ports = () => (next(2) ? { ports: [{ protocol: pick(['TCP', 'UDP'] as const), ...(next(2) ? pick([{ port: 80 }, { port: 443 }, { port: 23, endPort: 442 }]) : {}) }] } : {});
  const peers = () => pick([[{ endpoints: selector() }], [{ matchSame: [pick(['app', 'tier'])] }], [{ cidr: '10.0.0.12/30' }, { endpoints: selector() }]]);
  const action = () => ({ action: pick(['Allow', 'Allow', 'Deny', 'Pass'] as const) });
  const endpoints = networks.flatMap((net, n) => Array.from({ length: 4 }, (_, i) => i).filter(() => next(5) > 0)
    .map((i) => make.endpoint(200 * (n + 1) + 11 + i, net, 1, Object.fromEntries(['app', 'tier'].filter(() => next(3)).map((k) => [k, pick(['a', 'b', 'c'])])))));
  const rules = () => ({
    appliesTo: selector(), priority: pick([1, 1000, 1000]),
    ...(next(3) ? { ingress: Array.from({ length: next(3) }, () => ({ ...action(), ...ports(), ...(next(2) ? { from: peers() } : {}) })) } : {}),
    ...(next(3) ? {} : { egress: Array.from({ length: next(3) }, () => ({ ...action(), ...ports(), ...(next(2) ? { to: peers() } : {}) })) }),
  });
  const policies = Array.from({ length: next(6) }, (_, i): Policy => (next(3) ? make.policy(900 + i, pick([staging, production]), rules())
    : { ...make.policy(950 + i, staging, {}), kind: 'project-policy', environment: '_', spec: { tier: pick(['Admin', 'Baseline']), ...rules() } }));
  return { endpoints, policies };
}

const environmentOf = ({ domain, project, environment }: Endpoint): string => `${domain}/${project}/${environment}`;
const party = (e: Endpoint) => osierParty({ path: pathOf(e), environment: environmentOf(e), spec: { ...e.spec, address: e.status.address } });

describe('the programs', () => {
  it('decide as the rules explain, over random changes of one kernel', () => {
    const wrong: string[] = [];
    let asked = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const next = random(seed);
      const kernel = fakeKernel();
      let highest: Highest = nothingGiven;
      for (let step = 1; step <= 12; step++) {
        const { endpoints, policies } = scene(next);
        const view = createView();
        [make.node(1), ...networks, ...endpoints, ...policies].forEach((d, i) => view.merge(documentSubject(d), i + 1, d));
        const program = desired(view, 'node-1', sha256, kernelRoom);
        const devices = new Map(endpoints.map((e) => [e.id, Number(e.id.slice(-4))]));
        const numbered = number(program, devices, readTables(kernel), highest);
        highest = numbered.highest;
        carryOut(kernel, plan(numbered.tables, readTables(kernel), kernel.config().epoch).steps, step);
        const index = indexWorld({ scopes: [...new Set(endpoints.map(environmentOf))].map((name) => ({ name, tags: scopeTagsOf(name) })), nodes: [], parties: endpoints.map(party), policies: policies.map((p) => policyOf(p)) });
        expect(attest(program, devices, readTables(kernel), sha256).differences).toEqual([]);
        for (const from of endpoints) for (const to of endpoints) for (const [protocol, port] of [[6, 80], [6, 22], [17, 443]] as const) {
          // Equal addresses: the packet means the one in its own environment, so only that one is asked for.
          if (from.id === to.id || from.environment !== to.environment) continue;
          const said = decide(index, { from: index.party(pathOf(from)) as ReturnType<typeof party>, to: index.party(pathOf(to)) as ReturnType<typeof party>, protocol: protocol === 6 ? 'TCP' : 'UDP', port, family: undefined });
          const did = kernel.send({ ifindex: devices.get(from.id) ?? 0, source: mapped16(from.status.address), destination: mapped16(to.status.address), protocol, destinationPort: port });
          asked++;
          const rule = numbered.ruleNumbers.get(did.ingressRule || did.egressRule);
          const last = said.egress?.verdict === 'Deny' ? said.egress : said.ingress;
          const reason = said.verdict === 'Allow' ? 'none' : 'policy_denied';
          if (did.reason !== reason) wrong.push(`seed ${seed} step ${step} ${from.name}→${to.name} ${protocol}/${port}: ${did.reason}, explained as ${said.reason}`);
          else if (rule?.name !== last?.rule || rule?.policyPath !== (last?.policy ?? 'default') || rule?.tier !== last?.tier) wrong.push(`seed ${seed} step ${step} ${from.name}→${to.name}: rule ${rule?.name}, explained as ${last?.rule}`);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(asked).toBeGreaterThan(2_000);
  });
});
