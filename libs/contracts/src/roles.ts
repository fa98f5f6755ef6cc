import type { Scope } from './document.ts';
import { none } from './names.ts';

/**
 * What a credential may do within its scope; each role may do what those before it may.
 * viewer: read objects, outcomes, flows · editor: wish networks, endpoints, policies · approver: read the audit log and dead letters, retry and drop these
 * · admin: make and remove domains, projects, environments, nodes, and issue credentials.
 */
export const roles = ['viewer', 'editor', 'approver', 'admin'] as const;
export type Role = (typeof roles)[number];
export const mayAs = (has: Role, needed: Role): boolean => roles.indexOf(has) >= roles.indexOf(needed);

/** Where a credential counts: everywhere (`_`, `_`), in a domain, in one project of it. */
export type Reach = Pick<Scope, 'domain' | 'project'>;
/** Whether all that this scope names lies within reach; `_` in it means every one, so it does not lie within less than that. */
export const reaches = (reach: Reach, scope: Reach): boolean =>
  (reach.domain === none || reach.domain === scope.domain) && (reach.project === none || reach.project === scope.project);

/** Prefixes of the last token of an intent, so that no tenant's credential can pass for another's: services, and credentials of the platform. */
export const servicePrefix = 'osier-';
export const platformPrefix = 'platform-';
/** How a credential is called in subjects, records and logs: its name within a domain, `platform-<name>` outside. */
export const credentialToken = (reach: Pick<Reach, 'domain'>, name: string): string => (reach.domain === none ? `${platformPrefix}${name}` : name);
/** `acme/ci`, `platform-ops`: the same, where the domain does not stand beside it. */
export const credentialPath = (reach: Pick<Reach, 'domain'>, name: string): string => (reach.domain === none ? `${platformPrefix}${name}` : `${reach.domain}/${name}`);
