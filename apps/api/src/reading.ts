import type { Scope } from '@osier/contracts/document';
import { type Kind, kinds } from '@osier/contracts/kinds';
import { none } from '@osier/contracts/names';
import type { Reach } from '@osier/contracts/roles';
import { type Answer, type ApiRequest, refusal } from './answers.ts';
import { ask, platform } from './ask.ts';
import { readWithin } from './authorize.ts';
import type { ApiContext } from './context.ts';
import { atOf } from './parameters.ts';
import { nameOf, readScope } from './scope.ts';

type Moment = ReturnType<typeof atOf>;
interface Item { readonly document: Record<string, unknown>; readonly revision: number }

const within = (scope: Scope, document: Record<string, unknown>): boolean =>
  (['domain', 'project', 'environment'] as const).every((level) => scope[level] === none || document[level] === scope[level]);

export async function items(context: ApiContext, kind: Kind, scope: Scope, { name, ...at }: { name?: string } & Moment = {}): Promise<Item[]> {
  const wanted = { kind, ...at, ...(scope.environment === none ? {} : { environment: scope.environment }), ...(name === undefined ? {} : { name }) };
  const found: Item[] = [];
  let after: { after?: string } = {};
  do {
    const page = (await ask(context, `${kinds[kind].owner}.list` as 'topology.list', scope, { ...wanted, ...after })) as { items: Item[]; next?: string };
    found.push(...page.items);
    after = page.next === undefined ? {} : { after: page.next };
  } while (after.after !== undefined);
  return found.filter(({ document }) => within(scope, document) && (name === undefined || document['name'] === name));
}

/**
 * Names are given again: what was under one before its domain, or project, of today was made is somebody else's. Whoever counts there only sees nothing of it, as if
 * there had been nothing.
 */
async function isOwn({ domain, project }: Reach, context: ApiContext, at: Moment): Promise<boolean> {
  const own = [
    ...(domain === none ? [] : [{ kind: 'domain' as const, scope: { ...platform, domain, environment: none }, name: domain }]),
    ...(project === none ? [] : [{ kind: 'project' as const, scope: { domain, project: none, environment: none }, name: project }]),
  ];
  const same = await Promise.all(own.map(async ({ kind, scope, name }) => {
    const [[now], [then]] = await Promise.all([items(context, kind, scope, { name }), items(context, kind, scope, { name, ...at })]);
    return now !== undefined && now.document['id'] === then?.document['id'];
  }));
  return same.every(Boolean);
}
async function visible(context: ApiContext, { who, query, params }: ApiRequest, kind: Kind, name?: string): Promise<Item[]> {
  const scope = readWithin(who, kind, readScope(kind, params));
  const at = atOf(query);
  if ('at' in at && !(await isOwn(who, context, at))) return [];
  return items(context, kind, scope, { ...(name === undefined ? {} : { name }), ...at });
}

export const list = (kind: Kind) => async (context: ApiContext, request: ApiRequest): Promise<Answer> =>
  ({ status: 200, body: { items: await visible(context, request, kind) } });

export const get = (kind: Kind) => async (context: ApiContext, request: ApiRequest): Promise<Answer> => {
  const name = nameOf(kind, request.params);
  const [item] = await visible(context, request, kind, name);
  if (item === undefined) {
    const shown = name.length > 63 ? `${name.slice(0, 63)}…` : name;
    throw refusal(404, 'not-found', 'name', `There is no ${kinds[kind].title.toLowerCase()} "${shown}" here.`, `List what there is: osier get ${kinds[kind].plural}.`);
  }
  return { status: 200, body: item, headers: { etag: `"${String(item.document['version'])}"` } };
};

export const logins = (kind: 'credential' | 'platform-credential') => async (context: ApiContext, request: ApiRequest): Promise<Answer> => {
  const { domain } = readScope(kind, request.params);
  return { status: 200, body: await ask(context, 'tenant.logins', { domain, project: none }, { kind, name: nameOf(kind, request.params) }) };
};

/** Node documents, and what each node has confirmed. */
export async function nodes(context: ApiContext): Promise<Answer> {
  const [documents, seen] = await Promise.all([
    items(context, 'node', { ...platform, environment: none }),
    ask(context, 'topology.nodes', platform, {}),
  ]);
  return { status: 200, body: { items: documents, nodes: seen.nodes } };
}
