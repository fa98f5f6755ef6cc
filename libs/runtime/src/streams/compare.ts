import { createHash } from 'node:crypto';
import type { Bus } from '@osier/bus/bus';
import type { AnyDocument } from '@osier/contracts/document';
import type { Kind } from '@osier/contracts/kinds';
import { documentSubject, statePattern } from '@osier/contracts/subjects';
import type { Store } from '@osier/store/store';

/** What STATE holds of a service's own entities, held against its database. */
export interface Comparison {
  /** Subjects that STATE lacks, or has an older version of than was published. */
  readonly missing: readonly string[];
  /** Subjects of which STATE has a version that the database never had: the database is older. */
  readonly beyond: readonly string[];
  readonly entities: number;
  /** Of subjects and versions in STATE; the same as long as the documents are. */
  readonly digest: string;
}

const page = 500;

/** STATE is read first: the database commits before it publishes, so whatever STATE has it must have too. */
export async function compareState(bus: Bus, store: Store, kinds: readonly Kind[]): Promise<Comparison> {
  const stated = new Map<string, { sequence: number; document: AnyDocument }>();
  for await (const message of bus.read({ stream: 'STATE', filters: kinds.map((noun) => statePattern({ noun })) })) {
    stated.set(message.subject, { sequence: message.sequence, document: JSON.parse(new TextDecoder().decode(message.data)) as AnyDocument });
  }
  const own = await published(store, kinds);
  const missing = [...own].filter(([subject, { revision }]) => revision > 0 && (stated.get(subject)?.sequence ?? 0) < revision).map(([subject]) => subject);
  const beyond: string[] = [];
  for (const [subject, { document }] of stated) {
    const mine = own.get(subject)?.document;
    if (mine && mine.version >= document.version) continue;
    const last = (await store.read.history(document.id)).at(-1);
    if (!last || last.document.version < document.version) beyond.push(subject);
    else if (last.document.version > document.version && last.revision !== undefined) missing.push(subject);
  }
  const lines = [...stated].map(([subject, { document }]) => `${subject} ${document.version}`).sort();
  return { missing, beyond, entities: stated.size, digest: createHash('sha256').update(lines.join('\n')).digest('hex') };
}

async function published(store: Store, kinds: readonly Kind[]): Promise<Map<string, { document: AnyDocument; revision: number }>> {
  const own = new Map<string, { document: AnyDocument; revision: number }>();
  for (const kind of kinds) {
    for (let after: string | undefined; ; ) {
      const rows = await store.read.listed(kind, {}, { after, limit: page });
      for (const { document, revision } of rows) own.set(documentSubject(document as AnyDocument), { document: document as AnyDocument, revision });
      after = rows.at(-1)?.document.id;
      if (rows.length < page) break;
    }
  }
  return own;
}
