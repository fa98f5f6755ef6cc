import { type Document, type Scope, scopeWithin } from '@osier/contracts/document';
import type { Kind, Spec, Status } from '@osier/contracts/kinds';
import { none } from '@osier/contracts/names';
import { expect } from '@jest/globals';
import type { Decision } from '../src/decision.ts';

/** Documents for tests, with as little said as possible. */
export const staging: Scope = { domain: 'acme', project: 'shop', environment: 'staging' };
export const production: Scope = { ...staging, environment: 'production' };

/** The n-th id: `id(1)` is 00000000-0000-0000-0000-000000000001. */
export const id = (n: number): string => `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`;
/** A source of ids that counts from `first`. */
export const ids = (first = 1): (() => string) => {
  let next = first;
  return () => id(next++);
};

export function document<K extends Kind>(kind: K, name: string, spec: Spec<K>, status: Status<K>, more: Partial<Document<K>> = {}): Document<K> {
  const scope = scopeWithin(kind, more.domain === undefined ? staging : { domain: more.domain, project: more.project ?? none, environment: more.environment ?? none }, name);
  return {
    kind, id: id(900), name, parent: none, version: 1, phase: 'active', createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-01T00:00:00.000Z', intent: 'i', spec, status,
    ...more, domain: scope.domain, project: scope.project, environment: scope.environment,
  };
}
export const domain = (name = 'acme'): Document<'domain'> => document('domain', name, {}, {}, { id: id(901), domain: none });
export const project = (name = 'shop', within = 'acme'): Document<'project'> => document('project', name, {}, {}, { id: id(902), domain: within });
export const environment = (scope: Scope = staging, more: Partial<Document<'environment'>> = {}): Document<'environment'> =>
  document('environment', scope.environment, {}, {}, { id: id(903), ...more, domain: scope.domain, project: scope.project });
export const node = (name: string, tunnelEndpoint = '192.0.2.11', more: Partial<Document<'node'>> = {}): Document<'node'> =>
  document('node', name, { tunnelEndpoint }, {}, { id: id(910), ...more, domain: none });
export const network = (name: string, subnets: string[], more: Partial<Document<'network'>> = {}): Document<'network'> =>
  document('network', name, { subnets }, { routingDomain: id(920), vni: 7, number: 3 }, { id: id(921), ...more });
export const endpoint = (name: string, address: string, spec: Partial<Spec<'endpoint'>> = {}, more: Partial<Document<'endpoint'>> = {}): Document<'endpoint'> =>
  document('endpoint', name, { network: 'main', node: 'node-1', tags: { app: name }, attachment: { containerId: name, interface: 'eth0' }, ...spec },
    { address, mac: '02:07:00:00:00:00', lease: more.id ?? id(930) }, { id: id(930), parent: id(921), ...more });
export const lease = (address: string, more: Partial<Document<'lease'>> = {}): Document<'lease'> =>
  document('lease', address, { network: id(921), endpoint: id(940) }, { address, mac: '02:07:00:00:00:00' }, { id: id(940), parent: id(921), ...more });

/** A refusal with this code at this path, whose sentences are sentences. */
export function expectRefusal(decision: Decision | undefined, code: string, path: string): void {
  expect(decision).toMatchObject({ result: 'refused', problem: { code, path } });
  if (decision?.result !== 'refused') return;
  expect(decision.problem.reason).toMatch(/^["0-9A-Z].*\.$/s);
  expect(decision.problem.fix).toMatch(/^[A-Z].*\.$/s);
}
export const changesOf = (decision: Decision | undefined): readonly { kind: string; name: string; phase: string }[] => {
  expect(decision?.result).toBe('accepted');
  return decision?.result === 'accepted' ? decision.puts.map(({ kind, name, phase }) => ({ kind, name, phase })) : [];
};
