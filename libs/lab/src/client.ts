import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Document, Scope } from '@osier/contracts/document';
import { type Kind, kinds, type Level } from '@osier/contracts/kinds';
import type { AcceptedOutcome, Outcome } from '@osier/contracts/outcome';
import type { Problem } from '@osier/contracts/problem';
import type { Enforcement, NodeView, QueryResponse } from '@osier/contracts/queries';
import type { Flow } from '@osier/contracts/telemetry';
import { fetchTrusting } from './trusting.ts';

/** An answer of Osier's that says no. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly problem: Problem;
  readonly fix: string;
  constructor(what: string, problem: Problem) {
    super(`${what}: ${problem.reason}${problem.path === '' ? '' : ` (${problem.path})`}`);
    this.problem = problem;
    this.fix = problem.fix;
  }
}

export interface Change { readonly kind: string; readonly id: string; readonly subject: string; readonly revision: number }
export type FlowLine = Flow & { readonly domain: string; readonly project: string; readonly node: string };

/** The HTTP door, as far as the lab needs it. */
export interface Client {
  apply(kind: Kind, scope: Scope, name: string, spec: unknown): Promise<AcceptedOutcome>;
  delete(kind: Kind, scope: Scope, name: string): Promise<AcceptedOutcome>;
  list<K extends Kind>(kind: K, scope: Scope): Promise<{ document: Document<K>; revision: number }[]>;
  logins(kind: 'credential' | 'platform-credential', scope: Scope, name: string): Promise<QueryResponse<'tenant.logins'>['logins']>;
  enforcement(changes: readonly Change[], timeoutMs: number): Promise<Enforcement>;
  nodes(): Promise<NodeView[]>;
  flows(o: { domain: string; project: string; environment?: string; denied?: boolean; since?: string }): Promise<FlowLine[]>;
}

const placeOf: Record<Level, (s: Scope) => string> = {
  platform: () => '/v1',
  domain: (s) => `/v1/domains/${s.domain}`,
  project: (s) => `${placeOf.domain(s)}/projects/${s.project}`,
  environment: (s) => `${placeOf.project(s)}/environments/${s.environment}`,
};
const listPath = (kind: Kind, scope: Scope): string => `${placeOf[kinds[kind].level](scope)}/${kinds[kind].plural}`;

export function labClient(o: { server: string; token: string; ca?: string | undefined }): Client {
  const fetching = fetchTrusting(o.ca);
  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<unknown> => {
    const response = await (await fetching)(`${o.server}${path}`, {
      method, headers: { authorization: `Bearer ${o.token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(120_000),
    });
    const text = await response.text();
    const answer = (text === '' ? {} : parseJson(text)) as { problem?: Problem };
    if (response.ok) return answer;
    if (answer.problem !== undefined) throw new Refused(`${method} ${path}`, answer.problem);
    throw new Error(`${method} ${path}: HTTP ${response.status} ${text.slice(0, 200)}`);
  };
  /** One intent, under one id until it is decided: 202 says that it is stored and not decided yet, 503 that it may not be stored. */
  const decide = async (method: string, path: string, body?: unknown): Promise<AcceptedOutcome> => {
    const key = { 'idempotency-key': randomUUID() };
    for (const until = Date.now() + 60_000; ; await sleep(250)) {
      try {
        const outcome = (await call(method, path, body, key)) as Outcome | { result: 'pending' };
        if (outcome.result === 'accepted') return outcome;
        if (outcome.result === 'refused') throw new Refused(`${method} ${path}`, outcome.problem);
        if (Date.now() > until) throw new Error(`${method} ${path}: not decided within a minute`);
      } catch (error) {
        if (!(error instanceof Refused) || error.problem.code !== 'bus-unavailable' || Date.now() > until) throw error;
      }
    }
  };
  return {
    apply: (kind, scope, name, spec) => decide('PUT', `${listPath(kind, scope)}/${name}`, spec),
    delete: (kind, scope, name) => decide('DELETE', `${listPath(kind, scope)}/${name}`),
    list: async <K extends Kind>(kind: K, scope: Scope) => ((await call('GET', listPath(kind, scope))) as { items: { document: Document<K>; revision: number }[] }).items,
    logins: async (kind, scope, name) => ((await call('GET', `${listPath(kind, scope)}/${name}/logins`)) as QueryResponse<'tenant.logins'>).logins,
    enforcement: async (changes, timeoutMs) => (await call('POST', `/v1/enforcement?timeout=${Math.ceil(timeoutMs / 1000)}s`, {
      changes: changes.map(({ kind, id, subject, revision }) => ({ kind, id, subject, revision })),
    })) as Enforcement,
    nodes: async () => ((await call('GET', '/v1/nodes')) as { nodes: NodeView[] }).nodes,
    flows: async (q) => {
      const query = new URLSearchParams(Object.entries(q).map(([key, value]): [string, string] => [key, String(value)]));
      const response = await (await fetching)(`${o.server}/v1/flows?${query}`, { headers: { authorization: `Bearer ${o.token}` }, signal: AbortSignal.timeout(60_000) });
      const lines = (await response.text()).split('\n').filter(Boolean).map((line) => parseJson(line) as FlowLine);
      return lines.filter((line) => line.event !== undefined);
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** Does `work` for every item, a few at a time, in order of the items' results. */
export async function inParallel<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, async () => {
    for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index] as T);
  }));
  return results;
}
