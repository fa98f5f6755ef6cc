import { isWithin } from './allowed.ts';
import { blog, type Place, shop, vault } from './land.ts';
import type { Person } from './people.ts';

// Whom each route of the OpenAPI document lets in, by hand. A route that is not here fails the test.

/**
 * `platform`, `domain`, `project`: all that is named, down to there, must be within reach. `enclosing`: that of which one reaches at least a part.
 * `own`: whoever it is about, or an admin of where it lies. `narrowed`: anybody, about what is within his reach. `open`: whoever comes.
 */
export type Reach = 'platform' | 'domain' | 'project' | 'enclosing' | 'own' | 'narrowed' | 'open';
type Rule = readonly [reach: Reach, role: Person['role']];

const env = '/v1/domains/{domain}/projects/{project}/environments/{environment}';
const objects = (path: string, one: string, reach: Reach, role: Person['role']): [string, Rule][] => [
  [`GET ${path}`, [reach, 'viewer']], [`GET ${path}/${one}`, [reach, 'viewer']], [`PUT ${path}/${one}`, [reach, role]], [`DELETE ${path}/${one}`, [reach, role]],
];
const dead = '/v1/dead-letters/{domain}/{project}/{intentId}';
export const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['GET /v1/domains', ['narrowed', 'viewer']], ['GET /v1/domains/{domain}', ['enclosing', 'viewer']], ['PUT /v1/domains/{domain}', ['platform', 'admin']], ['DELETE /v1/domains/{domain}', ['platform', 'admin']],
  ['GET /v1/domains/{domain}/projects', ['enclosing', 'viewer']], ['GET /v1/domains/{domain}/projects/{project}', ['project', 'viewer']],
  ['PUT /v1/domains/{domain}/projects/{project}', ['domain', 'admin']], ['DELETE /v1/domains/{domain}/projects/{project}', ['domain', 'admin']],
  ...objects('/v1/domains/{domain}/projects/{project}/environments', '{environment}', 'project', 'admin'),
  ...objects('/v1/domains/{domain}/credentials', '{name}', 'domain', 'admin'), ['GET /v1/domains/{domain}/credentials/{name}/logins', ['own', 'admin']],
  ...objects('/v1/platform-credentials', '{name}', 'platform', 'admin'), ['GET /v1/platform-credentials/{name}/logins', ['own', 'admin']],
  ...objects('/v1/nodes', '{name}', 'platform', 'admin'),
  ...['networks', 'endpoints', 'policies'].flatMap((plural) => objects(`${env}/${plural}`, '{name}', 'project', 'editor')),
  ...['endpoint-groups', 'address-groups', 'service-groups'].flatMap((plural) => objects(`/v1/domains/{domain}/projects/{project}/${plural}`, '{name}', 'project', 'editor')),
  ...objects('/v1/domains/{domain}/projects/{project}/project-policies', '{name}', 'project', 'admin'), ...objects('/v1/domains/{domain}/domain-policies', '{name}', 'domain', 'admin'),
  ...objects('/v1/platform-policies', '{name}', 'platform', 'admin'),
  ...['routing-domains', 'leases'].flatMap((plural) => objects(`${env}/${plural}`, '{name}', 'project', 'viewer').slice(0, 2)),
  ['POST /v1/intents/{domain}/{project}/{environment}/{noun}/{verb}', ['project', 'editor']],
  ['GET /v1/outcomes/{domain}/{project}/{intentId}', ['project', 'viewer']], ['POST /v1/enforcement', ['narrowed', 'viewer']], ['GET /v1/connections', ['narrowed', 'viewer']], ['GET /v1/flows', ['narrowed', 'viewer']],
  ['GET /v1/audit', ['narrowed', 'approver']], ['GET /v1/dead-letters', ['narrowed', 'approver']],
  [`GET ${dead}`, ['project', 'approver']], [`DELETE ${dead}`, ['project', 'approver']], [`POST ${dead}/retry`, ['project', 'approver']],
  ...['POST /v1/backups', 'POST /v1/restores', 'PUT /v1/restores/{restore}/{offset}', 'POST /v1/restores/{restore}/start', 'DELETE /v1/restores/{restore}'].map((route): [string, Rule] => [route, ['platform', 'admin']]),
  ['GET /openapi.json', ['open', 'viewer']], ['GET /healthz', ['open', 'viewer']], ['GET /readyz', ['open', 'viewer']],
]);

/** What stands in a path. `whose`: to whom it would belong. */
export type Names = Readonly<Record<'domain' | 'project' | 'environment' | 'name' | 'intentId' | 'noun' | 'verb', string>>;
const within = ({ domain, project, environment }: Pick<Place, 'domain' | 'project' | 'environment'>, name: string, intentId: string): Names => ({ domain, project, environment, name, intentId, noun: 'network', verb: 'apply' });
/** Of each place what there is, and beside it what there is not: what may not be known must look the same. */
export const pairs: readonly (readonly [there: Names, ghost: Names])[] = [
  [within(shop, shop.network, shop.intent), within(shop, 'ghost', 'ghost')],
  [within(blog, blog.network, blog.intent), within({ ...blog, project: 'ghost', environment: 'ghost' }, 'ghost', 'ghost')],
  [within(vault, vault.network, vault.intent), within({ domain: 'ghost', project: 'ghost', environment: 'ghost' }, 'ghost', 'ghost')],
  [within(vault, vault.endpoint, vault.dead), within({ ...vault, project: 'ghost', environment: 'ghost' }, 'ghost', 'ghost')],
  [within(vault, vault.policy, vault.dead), within({ domain: 'rival', project: 'shop', environment: 'staging' }, 'admin', shop.dead)],
  [within(vault, 'spymaster', vault.dead), within({ domain: 'ghost', project: 'shop', environment: 'staging' }, 'n1', shop.intent)],
];
export const fill = (path: string, names: Names): string => path.replaceAll(/\{(\w+)\}/g, (_whole, name: keyof Names) => names[name]);

const rank = ['viewer', 'editor', 'approver', 'admin'];
export function mayAsk(who: Person, route: string, names: Names): boolean {
  const [reach, role] = rules.get(route) ?? ['platform', 'admin'];
  const enough = rank.indexOf(who.role) >= rank.indexOf(role);
  if (reach === 'open') return true;
  const named = { domain: route.includes('{domain}') ? names.domain : '_', project: names.project };
  if (reach === 'own' && who.path === (named.domain === '_' ? `platform-${names.name}` : `${named.domain}/${names.name}`)) return true;
  if (who.node !== undefined || !enough) return false;
  switch (reach) {
    case 'narrowed': return true;
    case 'platform': return who.domain === '_';
    case 'domain': return who.domain === '_' || (who.domain === named.domain && who.project === '_');
    case 'own': return who.domain === '_' || (who.domain === named.domain && who.project === '_');
    case 'enclosing': return who.domain === '_' || who.domain === named.domain;
    case 'project': return isWithin(who, named.domain, named.project);
  }
}
