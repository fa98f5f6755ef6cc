import type { AnyDocument } from '@osier/contracts/document';
import { pathOf } from '@osier/contracts/document';
import { type Kind, kinds } from '@osier/contracts/kinds';
import { columnsOf } from '../columns.ts';
import { exitCodes, type ExitCode, Failure } from '../failure.ts';
import type { Io } from '../io.ts';
import { print, table } from '../output.ts';
import { itemPath, kindOf, levelsOf, listPath, type Place } from '../place.ts';
import { type CommonOptions, type Session, sessionOf } from '../session.ts';

export interface GetOptions extends CommonOptions { readonly all?: boolean; readonly at?: string }
export interface Item { readonly document: AnyDocument; readonly revision: number }

/** Every object of a kind in the place; a level that is not given means all of it. `at`: as it was at a revision, at a time, or so long ago. */
export async function find(session: Session, kind: Kind, place: Place, name?: string, at?: string): Promise<Item[]> {
  const then = at === undefined ? '' : `?at=${encodeURIComponent(at)}`;
  if (name !== undefined && levelsOf(kind).every((level) => place[level] !== undefined)) {
    return [(await session.client.read(itemPath(kind, place, name) + then)) as Item];
  }
  const { items } = (await session.client.read(listPath(kind, place) + then)) as { items: Item[] };
  const found = items.filter((item) => name === undefined || item.document.name === name);
  if (name !== undefined && found.length === 0) {
    throw new Failure(exitCodes.refused, 'not-found', `there is no ${kinds[kind].title.toLowerCase()} "${name.slice(0, 63)}"`, `See what there is: osier get ${kinds[kind].plural}`);
  }
  return found.sort((a, b) => pathOf(a.document).localeCompare(pathOf(b.document)));
}

const flat = ({ document, revision }: Item): object => ({ ...document, revision });

export async function get(io: Io, kindText: string, name: string | undefined, options: GetOptions): Promise<ExitCode> {
  const kind = kindOf(kindText);
  const session = sessionOf(io, options);
  const items = await find(session, kind, options.all === true ? session.asked : session.place, name, options.at);
  const only = items[0];
  const value = name !== undefined && items.length === 1 && only !== undefined ? flat(only) : { items: items.map(flat) };
  const columns = columnsOf(kind);
  await print(io, session.format, value, items.map(flat), () => (items.length === 0
    ? `no ${kinds[kind].plural.replace('-', ' ')} here`
    : table(['NAME', ...columns.map((c) => c.title), 'VERSION', 'REVISION'],
      items.map(({ document, revision }) => [pathOf(document), ...columns.map((c) => c.value(document)), String(document.version), String(revision)]))));
  return exitCodes.ok;
}
