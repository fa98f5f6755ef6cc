import type { AnyDocument } from '@osier/contracts/document';
import type { ChildIntent } from '@osier/domain/decision';
import { nameKey, type OutboxEntry } from '../source.ts';
import type { OpenOutcome } from '../store.ts';

/** How what is stored is laid into columns, the same in every database. */
export const documentRow = (document: AnyDocument) => ({
  id: document.id, kind: document.kind, domain: document.domain, project: document.project, environment: document.environment,
  name: document.name, parent: document.parent, phase: document.phase, document: JSON.stringify(document), name_key: nameKey(document) ?? null,
});

interface OutboxRow { readonly type: string; readonly entity: string | null; readonly version: number | null; readonly content: string | null; readonly traceparent: string | null }

export function outboxRow(entry: OutboxEntry): OutboxRow {
  const none = { entity: null, version: null, content: null, traceparent: null };
  if (entry.type === 'state') return { ...none, type: 'state', entity: entry.id, version: entry.version, traceparent: entry.traceparent ?? null };
  if (entry.type === 'intent') return { ...none, type: 'intent', content: JSON.stringify(entry.child), traceparent: entry.traceparent ?? null };
  return { ...none, type: 'outcome', content: JSON.stringify(entry.open) };
}

export function outboxEntry(row: OutboxRow): OutboxEntry {
  const traceparent = row.traceparent ?? undefined;
  if (row.type === 'state') return { type: 'state', id: row.entity ?? '', version: row.version ?? 0, traceparent };
  if (row.type === 'intent') return { type: 'intent', child: JSON.parse(row.content ?? '') as ChildIntent, traceparent };
  return { type: 'outcome', open: JSON.parse(row.content ?? '') as OpenOutcome };
}
