import type { Scope } from '@osier/contracts/document';
import type { Kind, Level } from '@osier/contracts/kinds';
import { kinds } from '@osier/contracts/kinds';
import { nameSchema, none } from '@osier/contracts/names';
import { parse } from '@osier/contracts/problem';
import { z } from 'zod';
import { Refusal } from './answers.ts';

const depth: Record<Level, number> = { platform: 0, domain: 1, project: 2, environment: 3 };
const levels = ['domain', 'project', 'environment'] as const;

/** The first `count` scope tokens from the path, each a valid name; the rest `_`. `any` allows `_` as "all of them". */
function tokens(params: Readonly<Record<string, string>>, count: number, any: boolean): Scope {
  const scope = { domain: none, project: none, environment: none };
  for (const level of levels.slice(0, count)) {
    const token = params[level] ?? '';
    if (any && token === none) continue;
    const checked = parse(z.object({ [level]: nameSchema }), { [level]: token });
    if (!checked.ok) throw new Refusal(422, checked.problem);
    scope[level] = token;
  }
  return scope;
}

/** Where an intent about this kind is spoken, from the path of its route. */
export const intentScope = (kind: Kind, params: Readonly<Record<string, string>>): Scope => tokens(params, depth[kinds[kind].level], false);

/** Where to look when reading; `_` as a name means every one. */
export const readScope = (kind: Kind, params: Readonly<Record<string, string>>): Scope => tokens(params, depth[kinds[kind].level], true);

/** The scope of a raw intent: names down to the level of its noun, `_` below it. */
export function rawScope(level: Level, params: Readonly<Record<string, string>>): Scope {
  const scope = tokens(params, depth[level], false);
  for (const name of levels.slice(depth[level])) {
    if (params[name] === none) continue;
    const reason = `"${name}" does not apply to this intent, which is spoken at the level of ${level === 'platform' ? 'the platform' : `a ${level}`}.`;
    throw new Refusal(422, { code: 'wrong-scope', path: name, reason, fix: `Write "_" for ${name}.` });
  }
  return scope;
}

/** The name of the object that an item route is about. */
export const nameOf = (kind: Kind, params: Readonly<Record<string, string>>): string =>
  (kind === 'domain' || kind === 'project' || kind === 'environment' ? params[kind] : params['name']) ?? '';
