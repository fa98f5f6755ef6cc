import { none } from '@osier/contracts/names';
import { credentialPath, credentialToken, mayAs, type Reach, reaches, type Role } from '@osier/contracts/roles';
import { type Refusal, refusal } from './answers.ts';

/** Who asks: a credential, where it counts, and as what. */
export interface Principal extends Reach {
  /** The last token of its intents. */
  readonly token: string;
  /** `acme/ci`, `platform-ops`: the same where no domain stands beside it. */
  readonly path: string;
  readonly role: Role;
  /** A node's agent, whose place is the bus: here it may fetch its own logins, and nothing else. */
  readonly node?: string;
}

export const principalOf = (reach: Reach, name: string, role: Role): Principal => ({ domain: reach.domain, project: reach.project, token: credentialToken(reach, name), path: credentialPath(reach, name), role });

const outside = (who: Principal): Refusal => refusal(403, 'not-allowed', '', `The credential ${who.path} counts ${where(who)} only.`, 'Ask within it, or with a credential that counts there.');
const where = ({ domain, project }: Reach): string => (domain === none ? 'everywhere' : project === none ? `in domain ${domain}` : `in project ${domain}/${project}`);

/** Says the same whether or not there is anything, so that nobody learns what others have. */
export function mustReach(who: Principal, scope: Reach): void {
  if (!reaches(who, scope)) throw outside(who);
}
export function mustBe(who: Principal, role: Role): void {
  if (!mayAs(who.role, role)) throw refusal(403, 'not-allowed', '', `The credential ${who.path} is ${article(who.role)}; this takes ${article(role)}.`, `Use a credential that is at least ${article(role)}, or have this one changed.`);
}
/** Everything here but its own logins is closed to a node. */
export function mustBeNoNode(who: Principal): void {
  if (who.node !== undefined) throw refusal(403, 'not-allowed', '', `The credential ${who.path} is that of node ${who.node}, which fetches its own logins here and nothing else.`, 'Use the credential of a person or program.');
}
/** What concerns all domains at once. */
export const mustBePlatform = (who: Principal): void => mustReach(who, { domain: none, project: none });

const article = (role: Role): string => `${/^[aeiou]/.test(role) ? 'an' : 'a'} ${role}`;

/** Where to look for somebody who asks about `scope`, in which `_` means every one: at most as far as he reaches. Throws where he asks for more than that by name. */
export function within(who: Principal, scope: Reach): Reach {
  const domain = scope.domain === none ? who.domain : scope.domain;
  const project = scope.project === none && (who.domain === none || domain === who.domain) ? who.project : scope.project;
  mustReach(who, { domain, project });
  return { domain, project };
}
