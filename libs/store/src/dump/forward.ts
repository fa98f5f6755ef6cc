import type { AnyDocument } from '@osier/contracts/document';
import { holdsOf } from '../source.ts';
import type { DumpRow } from './tables.ts';

type Step = (row: DumpRow) => DumpRow;

/**
 * What each migration makes of a row of the schema before it, so that a dump of any released schema can be loaded into this one. A migration without
 * a step does not pass the tests.
 */
const steps: readonly { readonly schema: string; readonly step: Step }[] = [
  { schema: '0001-initial', step: (row) => row },
  { schema: '0002-holds', step: withHolds },
];

function withHolds({ table, row }: DumpRow): DumpRow {
  if (table !== 'entities') return { table, row };
  return { table, row: { ...row, holds: holdsOf(JSON.parse(String(row['document'])) as AnyDocument) ?? null } };
}

/** The schemas of the dumps that can be loaded, the oldest first; the last is that of the databases now. */
export const schemas: readonly string[] = steps.map(({ schema }) => schema);
export const currentSchema = schemas.at(-1) as string;

/** The dump was made by a newer Osier than this one. */
export class UnknownSchema extends Error {
  override readonly name = 'UnknownSchema';
  readonly fix = 'Restore it with the version of Osier that made the backup, or a newer one.';
  constructor(schema: string) {
    super(`The backup has a database of schema ${schema}, which this version of Osier does not know (it knows ${schemas.join(', ')}).`);
  }
}

/** Brings a row of this schema forward to the current one. Throws UnknownSchema. */
export function forward(schema: string): Step {
  const at = schemas.indexOf(schema);
  if (at < 0) throw new UnknownSchema(schema);
  const ahead = steps.slice(at + 1);
  return (row) => ahead.reduce((made, { step }) => step(made), row);
}
