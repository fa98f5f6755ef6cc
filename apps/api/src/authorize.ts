import { type IntentDeclaration, intentDeclaration } from '@osier/contracts/catalogue';
import type { Scope } from '@osier/contracts/document';
import { type Kind, kinds, type Level, type WritableKind, writtenBy } from '@osier/contracts/kinds';
import { none } from '@osier/contracts/names';
import { credentialPath, type Reach } from '@osier/contracts/roles';
import { mustBe, mustBeNoNode, mustBePlatform, mustReach, type Principal, within } from './principal.ts';
import type { ActionType, RouteAction } from './routes.ts';

type Params = Readonly<Record<string, string>>;
type Check<A = RouteAction> = (who: Principal, params: Params, action: A) => void;

/** Where an object of this level is put: what the right to make it is asked for. */
const placeOf = (level: Level, params: Params): Reach => ({
  domain: level === 'platform' ? none : (params['domain'] ?? none),
  project: level === 'platform' || level === 'domain' ? none : (params['project'] ?? none),
});
export function mayWish(who: Principal, { level, role }: Pick<IntentDeclaration, 'level' | 'role'>, params: Params): void {
  mustReach(who, placeOf(level, params));
  mustBe(who, role);
}
const wish: Check<{ kind: WritableKind }> = (who, params, { kind }) => mayWish(who, { level: kinds[kind].level, role: writtenBy(kind) }, params);

/** Who reaches only a part of a domain or project may still see the domain and the project that it lies in. */
const encloses = (kind: Kind): boolean => kind === 'domain' || kind === 'project';

/** Where documents of a kind are looked for on behalf of `who`, from the scope that was asked for, in which `_` means every one. */
export function readWithin(who: Principal, kind: Kind, asked: Scope): Scope {
  if (kind === 'domain') return { ...asked, domain: within(who, { domain: asked.domain, project: who.project }).domain };
  if (kinds[kind].level === 'platform') mustBePlatform(who);
  if (kinds[kind].level === 'domain' && kind !== 'project') {
    const domain = asked.domain === none ? who.domain : asked.domain;
    mustReach(who, { domain, project: none });
    return { ...asked, domain };
  }
  return { ...asked, ...within(who, asked) };
}
const read: Check<{ type: string; kind: Kind }> = (who, params, { type, kind }) => {
  const named = { domain: params['domain'] ?? none, project: params['project'] ?? none };
  if (type === 'get' && encloses(kind)) mustReach({ ...who, project: kind === 'domain' ? none : who.project }, named);
  readWithin(who, kind, { ...named, environment: none });
};

const ofProject: Check<unknown> = (who, params) => mustReach(who, { domain: params['domain'] ?? none, project: params['project'] ?? none });
const letter: Check<unknown> = (who, params, action) => {
  ofProject(who, params, action);
  mustBe(who, 'approver');
};
const nothing = (): void => undefined;
const everything: Check<unknown> = (who) => {
  mustBePlatform(who);
  mustBe(who, 'admin');
};

/** What each type of route asks of whoever comes, before anything is read; a missing one does not compile. What a question may see is narrowed where it is answered. */
const checks: { readonly [T in ActionType]: Check<Extract<RouteAction, { readonly type: T }>> } = {
  apply: wish, delete: wish, list: read, get: read,
  // Once it is known which.
  intent: (who, params) => {
    const declaration = intentDeclaration(`${params['noun'] ?? ''}.${params['verb'] ?? ''}`);
    if (declaration !== undefined) mayWish(who, declaration, params);
  },
  outcome: ofProject,
  nodes: (who) => mustBePlatform(who),
  enforcement: nothing, flows: nothing, connections: nothing,
  audit: (who) => mustBe(who, 'approver'),
  deadLetters: (who) => mustBe(who, 'approver'),
  deadLetter: letter, retry: letter, drop: letter,
  logins: (who, params, { kind }) => {
    const domain = kind === 'credential' ? (params['domain'] ?? none) : none;
    if (who.path === credentialPath({ domain }, params['name'] ?? '')) return;
    mustBeNoNode(who);
    mustReach(who, { domain, project: none });
    mustBe(who, 'admin');
  },
  backup: everything, openRestore: everything, sendRestore: everything, startRestore: everything, dropRestore: everything,
  openapi: nothing, healthz: nothing, readyz: nothing,
};

/** Throws a Refusal where this is not for this credential to ask. */
export function authorize(who: Principal, action: RouteAction, params: Params): void {
  if (action.type !== 'logins') mustBeNoNode(who);
  (checks[action.type] as Check)(who, params, action);
}
