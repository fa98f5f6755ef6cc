import { services } from '@osier/lab/record';
import { canonical, type Entity } from './model.ts';
import type { Message } from './raw.ts';
import { type Databases, select } from './store.ts';

export interface Stored {
  readonly kind: string; readonly id: string; readonly domain: string; readonly project: string; readonly environment: string; readonly name: string; readonly parent: string;
  readonly version: number; readonly phase: 'active' | 'deleted'; readonly createdAt: string; readonly spec: Readonly<Record<string, unknown>>; readonly status: Readonly<Record<string, unknown>>;
}
export interface Row { readonly service: string; readonly document: Stored; readonly version: number; readonly revision: number }

/** What every service has committed, tombstones too. */
export const rowsOf = (lab: Databases): Row[] => services.flatMap((service) =>
  select<{ document: string; version: number; published_revision: number }>(lab, service, 'select document, version, published_revision from entities')
    .map((row) => ({ service, document: JSON.parse(row.document) as Stored, version: row.version, revision: row.published_revision })));

/** What is committed and not yet out, or still open. */
export const unfinished = (lab: Databases): number => services.reduce((sum, service) =>
  sum + Number(select<{ n: number }>(lab, service, 'select (select count(*) from outbox) + (select count(*) from waiting) as n')[0]?.n), 0);

/** Histories whose versions have holes, or whose revisions do not rise. */
export const brokenHistories = (lab: Databases): string[] => services.flatMap((service) => {
  const wrong: string[] = [];
  let before: { id: string; version: number; revision: number } | undefined;
  for (const row of select<{ id: string; version: number; revision: number | null }>(lab, service, 'select id, version, revision from history order by id, version')) {
    const follows = before?.id === row.id ? before : { version: 0, revision: 0 };
    if (row.version !== follows.version + 1) wrong.push(`${service} ${row.id}: version ${row.version} follows ${follows.version}`);
    if (row.revision === null || row.revision < follows.revision) wrong.push(`${service} ${row.id} version ${row.version}: revision ${row.revision} after ${follows.revision}`);
    before = { id: row.id, version: row.version, revision: row.revision ?? 0 };
  }
  return wrong;
});

/** Databases against STATE, both ways. */
export function compareState(rows: readonly Row[], state: readonly Message[]): string[] {
  const wrong: string[] = [];
  const messages = new Map(state.filter(({ subject }) => !['barrier', 'interest'].includes(subject.split('.')[5] ?? '')).map((message) => [message.subject, message]));
  for (const { service, document: d, revision } of rows) {
    const subject = ['osier.state', d.domain, d.project, d.environment, d.kind, d.parent, d.id].join('.');
    const message = messages.get(subject);
    messages.delete(subject);
    if (message === undefined) wrong.push(`${service} has ${d.kind} ${d.name} (${d.phase}), STATE has not: ${subject}`);
    else if (canonical(JSON.parse(message.text)) !== canonical(d)) wrong.push(`${subject}: ${service} has version ${d.version} (${d.phase}), STATE has another: ${message.text.slice(0, 300)}`);
    else if (message.sequence !== revision) wrong.push(`${subject}: published at ${revision} says ${service}, and STATE has it at ${message.sequence}`);
  }
  for (const subject of messages.keys()) wrong.push(`STATE has ${subject}, no database has`);
  return wrong;
}

const writable = new Set(['domain', 'project', 'environment', 'node', 'network', 'endpoint', 'policy', 'credential', 'platform-credential']);

/** Databases against the model: the same things, with the same wishes in them, changed as often. */
export function compareModel(rows: readonly Row[], model: ReadonlyMap<string, Entity>, aside: ReadonlySet<string>): string[] {
  const wrong: string[] = [];
  const left = new Map(model);
  for (const { document: d } of rows) {
    if (d.phase !== 'active' || !writable.has(d.kind) || aside.has(d.environment)) continue;
    const within = { domain: ['_', '_', '_'], project: [d.domain, '_', '_'], environment: [d.domain, d.project, '_'] }[d.kind] ?? [d.domain, d.project, d.environment];
    const key = `${d.kind} ${within.join('/')}/${d.name}`;
    const wished = left.get(key);
    left.delete(key);
    if (wished === undefined) wrong.push(`${key} is there (made by ${(d as unknown as { intent: string }).intent}), and should not be`);
    else if (canonical(wished.spec) !== canonical(d.spec)) wrong.push(`${key} is ${canonical(d.spec)}, should be ${canonical(wished.spec)}`);
    else if (wished.version !== d.version) wrong.push(`${key} is at version ${d.version}, should be at ${wished.version}`);
  }
  for (const key of left.keys()) wrong.push(`${key} is not there, and should be`);
  return wrong;
}

/** What lives in an environment that is no more, or is older than it; leases without an endpoint, and endpoints without a lease; one address given twice. */
export function orphans(rows: readonly Row[]): string[] {
  const active = rows.map(({ document }) => document).filter((d) => d.phase === 'active');
  const path = (d: Stored): string => `${d.domain}/${d.project}/${d.environment}`;
  const wrong: string[] = [];
  const environments = new Map(active.filter((d) => d.kind === 'environment').map((d) => [path(d), d]));
  for (const d of active) {
    if (d.environment === '_' || d.kind === 'environment') continue;
    const home = environments.get(path(d));
    if (home === undefined || home.createdAt > d.createdAt) wrong.push(`${d.kind} ${path(d)}/${d.name} of ${d.createdAt}, whose environment is ${home === undefined ? 'no more' : `of ${home.createdAt}`}`);
  }
  const [endpoints, leases] = ['endpoint', 'lease'].map((kind) => new Map(active.filter((d) => d.kind === kind).map((d) => [d.id, d]))) as [Map<string, Stored>, Map<string, Stored>];
  for (const [id, d] of endpoints) if (leases.get(id)?.status.address !== d.status.address) wrong.push(`endpoint ${path(d)}/${d.name} has ${String(d.status.address)}, its lease ${String(leases.get(id)?.status.address)}`);
  for (const [id, d] of leases) if (!endpoints.has(id)) wrong.push(`lease ${path(d)}/${d.name} has no endpoint`);
  const held = new Map<string, string>();
  for (const [id, d] of endpoints) {
    const address = `${path(d)} ${String(d.status.address)}`;
    if (held.has(address)) wrong.push(`${address} belongs to ${id} and to ${held.get(address)}`);
    held.set(address, id);
  }
  return wrong;
}
