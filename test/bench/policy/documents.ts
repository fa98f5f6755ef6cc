import type { AnyDocument, Document } from '@osier/contracts/document';
import { none } from '@osier/contracts/names';
import type { Kind, Spec, Status } from '@osier/contracts/kinds';
import type { Thing, World } from './world.ts';

export const scope = { domain: 'acme', project: 'shop', environment: 'staging' } as const;
export const idOf = (kind: number, n: number): string => `00000000-0000-7000-${String(8000 + kind)}-${n.toString(16).padStart(12, '0')}`;
const at = '2026-01-01T00:00:00.000Z';

export function document<K extends Kind>(kind: K, id: string, thing: { name: string; spec: Spec<K> }, status: Status<K>, more: Partial<Document<K>> = {}): Document<K> {
  return { kind, id, ...scope, name: thing.name, parent: none, version: 1, phase: 'active', createdAt: at, updatedAt: at, intent: 'bench', spec: thing.spec, status, ...more };
}
export const policyDocument = (n: number, thing: Thing<'policy'>, version = 1): Document<'policy'> => document('policy', idOf(4, n), thing, {}, { version });

/** As its services would have made them, without them. */
export function documentsOf(world: World): AnyDocument[] {
  const parents = new Map(world.networks.map(({ name }, n) => [name, idOf(2, n)]));
  const next = new Map<string, number>();
  return [
    ...world.nodes.map((thing, n) => document('node', idOf(1, n), thing, {}, { domain: none, project: none, environment: none })),
    ...world.networks.map((thing, n) => document('network', idOf(2, n), thing, { routingDomain: idOf(9, 1), vni: 7, number: n + 1 })),
    ...world.policies.map((thing, n) => policyDocument(n, thing)),
    ...world.endpoints.map((thing, n) => {
      const host = (next.get(thing.spec.network) ?? 1) + 1;
      next.set(thing.spec.network, host);
      const network = Number(thing.spec.network.slice('net-'.length));
      const status = { address: `10.${network >> 8}.${network & 255}.${host}`, mac: `02:00:${n.toString(16).padStart(8, '0').match(/../g)?.join(':') ?? ''}`, lease: idOf(3, n) };
      return document('endpoint', idOf(3, n), thing, status, { parent: parents.get(thing.spec.network) as string });
    }),
  ];
}
