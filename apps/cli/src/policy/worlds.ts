import { kinds } from '@osier/contracts/kinds';
import { pathOf } from '@osier/contracts/document';
import { type IndexedWorld, indexWorld } from '@osier/domain/rules/index-world';
import { find } from '../commands/get.ts';
import { exitCodes, Failure, usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { levels, type Place } from '../place.ts';
import { addressDoubt, problemText } from '../reach/show.ts';
import { decidingKinds, type Objects, type ObjectProblem, osierObject, readObjects, unknownGroups, worldFrom } from '../reach/sources.ts';
import { type CommonOptions, type Session, sessionOf } from '../session.ts';

export interface WorldOptions extends CommonOptions { readonly all?: boolean; readonly at?: string }

const askedPlace = (options: Place): Place => Object.fromEntries(levels.flatMap((level) => (options[level] === undefined ? [] : [[level, options[level]]])));

/** What files hold; nothing is computed from objects that a server would reject. */
export async function objectsOf(paths: readonly string[], io: Io, options: Place, defaults: Place = {}): Promise<Objects> {
  const { found, problems, warnings } = await readObjects(paths, io, askedPlace(options), defaults);
  if (problems.length > 0) throw rejected(problems);
  const [warning] = warnings;
  if (warning !== undefined) io.err(`warning: ${problemText(warning)}${warnings.length === 1 ? '' : `; ${warnings.length - 1} more: osier reach --validate`}`);
  return found;
}

const rejected = (problems: readonly ObjectProblem[]): Failure => new Failure(exitCodes.usage, 'not-valid', [...problems.map(problemText), 'nothing was computed: this would be rejected when it is applied'].join('\n'), 'Correct these fields.');

/** The address that it got, whether it asked for one or not. */
const addressOf = (status: unknown): { address?: string } => {
  const { address } = (status ?? {}) as { address?: unknown };
  return typeof address === 'string' ? { address } : {};
};

/** The endpoints, policies and groups of the installation that the session speaks to. */
export async function liveObjects(options: WorldOptions, session: Session, io: Io): Promise<Objects> {
  const place = options.all === true ? session.asked : session.place;
  const hidden: string[] = [];
  const documents = (await Promise.all(decidingKinds.map(async (kind) => {
    try {
      return await find(session, kind, place, undefined, options.at);
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'not-allowed' || !(wide as readonly string[]).includes(kind)) throw error;
      hidden.push(kinds[kind].plural.replaceAll('-', ' '));
      return [];
    }
  }))).flat();
  if (hidden.length > 0) io.err(`warning: ${hidden.join(' and ')} are not for this credential to read; where one decides, the answer here is another than the nodes'`);
  const items = documents.flatMap(({ document }) => {
    const { domain, project, environment } = document;
    const spec = document.kind === 'endpoint' ? { ...document.spec, ...addressOf(document.status) } : document.spec;
    const object = osierObject(document.kind, { domain, project, environment }, pathOf(document), spec);
    return object === undefined ? [] : [{ at: undefined, object }];
  });
  return { source: 'osier', items };
}
/** Policies that count for whoever is below them, and that he may not read. */
const wide = ['domain-policy', 'platform-policy'] as const;

/** The world of the objects, ready to be asked; says what is not known of it. */
export function indexOf(objects: Objects, io: Io): IndexedWorld {
  const world = worldFrom(objects);
  const doubt = addressDoubt(world);
  for (const line of [...unknownGroups(objects), ...(doubt === undefined ? [] : [doubt])]) io.err(`warning: ${line}`);
  return indexWorld(world);
}

/** Where nothing runs, files may be what was meant. */
export function sessionOr(io: Io, options: CommonOptions, files: string): Session {
  try {
    return sessionOf(io, options);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'no-server') throw error;
    throw new Failure(error.exitCode, error.code, error.message, `${error.fix}; or name files, with no service running: ${files}`);
  }
}

export function onlyOneStdin(...paths: readonly (readonly string[] | undefined)[]): void {
  if (paths.flatMap((some) => some ?? []).filter((path) => path === '-').length > 1) throw usage('standard input can be read once.', 'Name a file in the place of one of the -.');
}
