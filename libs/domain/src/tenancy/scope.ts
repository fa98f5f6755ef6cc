import type { Document, Scope } from '@osier/contracts/document';
import { none } from '@osier/contracts/names';
import { type Decision, refuse } from '../decision.ts';
import type { Reader } from '../service.ts';

/** What exists of the levels that a scope names. */
export interface ScopeFacts { readonly domain?: Document<'domain'> | undefined; readonly project?: Document<'project'> | undefined; readonly environment?: Document<'environment'> | undefined }

/** Reads the levels of a scope, each within the one above it, so that nothing is ever found in another's. */
export async function scopeFacts(reader: Reader, { domain, project, environment }: Scope): Promise<ScopeFacts> {
  return {
    domain: domain === none ? undefined : await reader.byName('domain', { domain, project: none, environment: none }, domain),
    project: project === none ? undefined : await reader.byName('project', { domain, project, environment: none }, project),
    environment: environment === none ? undefined : await reader.byName('environment', { domain, project, environment }, environment),
  };
}

const unknown = (level: 'domain' | 'project' | 'environment', path: string, name: string): Decision =>
  refuse(`unknown-${level}`, level, `There is no ${level} ${path}.`, `Make the ${level} "${name}" first with "osier apply -f", or correct the name.`);

/** Refuses for the highest level that does not exist; the path is the field of a document, and the token of the subject. */
export function missingScope({ domain, project, environment }: Scope, facts: ScopeFacts): Decision | undefined {
  if (domain !== none && !facts.domain) return unknown('domain', domain, domain);
  if (project !== none && !facts.project) return unknown('project', `${domain}/${project}`, project);
  if (environment !== none && !facts.environment) return unknown('environment', `${domain}/${project}/${environment}`, environment);
  return undefined;
}

/** The same over another service's entities: before it refuses, it makes sure that what it follows is up to date. */
export async function missingScopeElsewhere(scope: Scope, known: Reader, catchUp: () => Promise<void>): Promise<Decision | undefined> {
  const missing = missingScope(scope, await scopeFacts(known, scope));
  if (!missing) return undefined;
  await catchUp();
  return missingScope(scope, await scopeFacts(known, scope));
}
