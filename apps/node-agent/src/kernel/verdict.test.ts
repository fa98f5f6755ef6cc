import { describe, expect, it } from '@jest/globals';
import type { Document } from '@osier/contracts/document';
import { documentSubject } from '@osier/contracts/subjects';
import { fakeKernel } from '@osier/dataplane/fake';
import { mapped16 } from '@osier/domain/net/ipv4';
import { type Party, policyOf } from '@osier/domain/policy/model';
import { verdict } from '@osier/domain/policy/verdict';
import { attest } from '@osier/domain/reconcile/attest';
import { desired } from '@osier/domain/reconcile/desired';
import { plan } from '@osier/domain/reconcile/plan';
import { type Highest, nothingGiven, number } from '@osier/domain/reconcile/tables';
import { createView } from '@osier/domain/reconcile/view';
import { make, production, staging } from '../../test/world.ts';
import { sha256 } from '../enforce.ts';
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
interface Scene { readonly endpoints: Endpoint[]; readonly policies: Document<'policy'>[] }

/** Two environments with equal addresses, some rules; a later scene differs from the former in anything. */
function scene(next: (below: number) => number): Scene {
  const pick = <T>(list: readonly T[]): T => list[next(list.length)] as T;
  const selector = () => (next(4) === 0 ? {} : { matchTags: { [pick(['app', 'tier'])]: pick(['a', 'b', 'c']) } });
  const ports = () => (next(2) ? { ports: [{ protocol: pick(['TCP', 'UDP'] as const), ...(next(2) ? { port: pick([80, 443]) } : {}) }] } : {});
  const action = () => ({ action: next(3) ? 'Allow' as const : 'Deny' as const });
  const endpoints = networks.flatMap((net, n) => Array.from({ length: 4 }, (_, i) => i).filter(() => next(5) > 0)
    .map((i) => make.endpoint(200 * (n + 1) + 11 + i, net, 1, Object.fromEntries(['app', 'tier'].filter(() => next(3)).map((k) => [k, pick(['a', 'b', 'c'])])))));
  const policies = Array.from({ length: next(5) }, (_, i) => make.policy(900 + i, pick([staging, production]), {
    appliesTo: selector(), priority: pick([1, 1000, 1000]),
    ...(next(3) ? { ingress: Array.from({ length: next(3) }, () => ({ ...action(), ...ports(), ...(next(2) ? { from: [{ endpoints: selector() }] } : {}) })) } : {}),
    ...(next(3) ? {} : { egress: Array.from({ length: next(3) }, () => ({ ...action(), ...ports(), ...(next(2) ? { to: [{ endpoints: selector() }] } : {}) })) }),
  }));
  return { endpoints, policies };
}

const party = (e: Endpoint): Party => ({ path: e.name, network: e.parent, environment: e.environment, tags: e.spec.tags });

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
        const program = desired(view, 'node-1', sha256);
        const devices = new Map(endpoints.map((e) => [e.id, Number(e.id.slice(-4))]));
        const numbered = number(program, devices, readTables(kernel), highest);
        highest = numbered.highest;
        carryOut(kernel, plan(numbered.tables, readTables(kernel), kernel.config().epoch).steps, step);
        expect(attest(program, devices, readTables(kernel), sha256).differences).toEqual([]);
        for (const from of endpoints) for (const to of endpoints) for (const [protocol, port] of [[6, 80], [6, 22], [17, 443]] as const) {
          // Equal addresses: the packet means the one in its own environment, so only that one is asked for.
          if (from.id === to.id || from.environment !== to.environment) continue;
          const own = policies.filter((p) => p.environment === from.environment).map(policyOf);
          const said = verdict(own, party(from), party(to), protocol, port);
          const did = kernel.send({ ifindex: devices.get(from.id) ?? 0, source: mapped16(from.status.address), destination: mapped16(to.status.address), protocol, destinationPort: port });
          asked++;
          const rule = numbered.ruleNumbers.get(did.ingressRule || did.egressRule);
          const last = said.decisions.at(-1);
          if (did.reason !== said.reason) wrong.push(`seed ${seed} step ${step} ${from.name}→${to.name} ${protocol}/${port}: ${did.reason}, explained as ${said.reason}`);
          else if (rule?.name !== last?.name || rule?.policyId !== last?.policyId) wrong.push(`seed ${seed} step ${step} ${from.name}→${to.name}: rule ${rule?.name}, explained as ${last?.name}`);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(asked).toBeGreaterThan(2_000);
  });
});
