import type { AnyDocument, Scope } from '@osier/contracts/document';
import { document, endpoint, id, network, node, production, staging } from './documents.ts';
import { groupKinds, policyKinds } from '@osier/contracts/kinds';
import { groupOf, keys, random, randomPolicy, values } from './policies.ts';
import { randomOf } from './reach/random.ts';

/** Random roads of documents through a small world, in which most documents meet what others have just changed. */
export const here = 'node-1';
export const deleted = (d: AnyDocument): AnyDocument => ({ ...d, phase: 'deleted' as const });
const environments: readonly Scope[] = [staging, production];

/** A document of a few, each time as somebody else would have it: networks of two environments, addresses that several claim, nodes that come and go. */
export function any(next: (below: number) => number): AnyDocument {
  const gone = next(4) === 0;
  const of = (made: AnyDocument): AnyDocument => (gone ? deleted(made) : made);
  switch (next(6)) {
    case 0: {
      const n = 1 + next(3);
      return of(node(`node-${n}`, `192.0.2.${n + 10 * next(2)}`, { id: id(n) }));
    }
    case 1: {
      const n = next(4);
      return of(network(`net-${n}`, ['10.0.0.0/24'], { id: id(20 + n), ...(environments[n % 2] as Scope), status: { routingDomain: id(920), vni: 7 + (n % 2), number: n + 1 + 10 * next(2) } }));
    }
    case 2: {
      const n = next(7);
      const r = randomOf(next(1 << 30));
      if (n === 0) {
        const [kind, name] = [groupKinds[next(3)] as (typeof groupKinds)[number], `g${1 + next(2)}`];
        return of(document(kind, name, groupOf(r, kind, name).spec, {}, { id: id(50 + 3 * groupKinds.indexOf(kind) + Number(name.slice(1))), domain: 'acme', project: 'shop' }) as AnyDocument);
      }
      const kind = policyKinds[n > 3 ? n - 3 : 0] as (typeof policyKinds)[number];
      const { domain, project, environment: narrow, spec } = randomPolicy(r, kind, `p${n}`);
      return of(document(kind, `p${n}`, spec, {}, { id: id(40 + n), ...(kind === 'policy' ? environments[n % 2] as Scope : { domain, project, environment: narrow }) }) as AnyDocument);
    }
    default: {
      const n = next(8);
      const net = next(2) * 2 + (n % 2);
      const tags = Object.fromEntries(keys.filter(() => next(3) > 0).map((key) => [key, values[next(values.length)] as string]));
      return of(endpoint(`e${n}`, `10.0.0.${1 + next(5)}`, { node: `node-${1 + next(3)}`, network: `net-${net}`, tags }, { id: id(60 + n), parent: id(20 + net), version: 1 + next(3), ...(environments[n % 2] as Scope) }));
    }
  }
}

export function roadOf(seed: number, steps: number): AnyDocument[] {
  const next = random(seed);
  return Array.from({ length: steps }, () => any(next));
}
