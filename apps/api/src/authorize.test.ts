import { describe, expect, it } from '@jest/globals';
import type { Role } from '@osier/contracts/roles';
import { Refusal } from './answers.ts';
import { authorize, readWithin } from './authorize.ts';
import { type Principal, principalOf } from './principal.ts';
import { routes } from './routes.ts';

const who = (domain: string, project: string, role: Role, name = 'ci'): Principal => principalOf({ domain, project }, name, role);
const params = { domain: 'acme', project: 'shop', environment: 'staging', name: 'main', noun: 'network', verb: 'apply', intentId: 'x' };
const route = (operation: string) => {
  const found = routes.find((one) => one.operation === operation);
  if (found === undefined) throw new Error(`no operation ${operation}`);
  return found;
};
function may(principal: Principal, operation: string, over: Partial<typeof params> = {}): boolean {
  const { action, path } = route(operation);
  const given = Object.fromEntries(Object.entries({ ...params, ...over }).filter(([name]) => path.includes(`{${name}}`)));
  try {
    authorize(principal, action, given);
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.status === 403) return false;
    throw error;
  }
}
const roles: readonly Role[] = ['viewer', 'editor', 'approver', 'admin'];
/** The least role for which it is let in, in the platform, the domain and the project that it is about; `-` where none is. */
const least = (operation: string, over: Partial<typeof params> = {}): string =>
  [['_', '_'], ['acme', '_'], ['acme', 'shop']].map(([domain = '', project = '']) => roles.find((role) => may(who(domain, project, role), operation, over)) ?? '-').join(' ');

describe('who is let in at a route', () => {
  it.each([
    ['applyDomain', 'admin - -'], ['deleteDomain', 'admin - -'], ['applyProject', 'admin admin -'], ['deleteProject', 'admin admin -'], ['applyEnvironment', 'admin admin admin'], ['deleteEnvironment', 'admin admin admin'],
    ['applyNetwork', 'editor editor editor'], ['deleteEndpoint', 'editor editor editor'], ['applyPolicy', 'editor editor editor'], ['applyNode', 'admin - -'], ['deleteNode', 'admin - -'],
    ['applyCredential', 'admin admin -'], ['deleteCredential', 'admin admin -'], ['applyPlatformCredential', 'admin - -'], ['deletePlatformCredential', 'admin - -'],
    ['listDomains', 'viewer viewer viewer'], ['getDomain', 'viewer viewer viewer'], ['listProjects', 'viewer viewer viewer'], ['getProject', 'viewer viewer viewer'], ['listNetworks', 'viewer viewer viewer'], ['getLease', 'viewer viewer viewer'],
    ['listCredentials', 'viewer viewer -'], ['getCredential', 'viewer viewer -'], ['listPlatformCredentials', 'viewer - -'], ['getPlatformCredential', 'viewer - -'], ['getNode', 'viewer - -'], ['listNodes', 'viewer - -'],
    ['getCredentialLogins', 'admin admin -'], ['getPlatformCredentialLogins', 'admin - -'],
    ['publishIntent', 'editor editor editor'], ['getOutcome', 'viewer viewer viewer'], ['awaitEnforcement', 'viewer viewer viewer'], ['readFlows', 'viewer viewer viewer'],
    ['readAudit', 'approver approver approver'], ['listDeadLetters', 'approver approver approver'], ['getDeadLetter', 'approver approver approver'], ['retryDeadLetter', 'approver approver approver'], ['dropDeadLetter', 'approver approver approver'],
  ])('%s: %s', (operation, expected) => expect(least(operation)).toBe(expected));
  it('of another domain, and of another project, nobody', () => {
    for (const { operation, path, open } of routes) {
      if (open || !path.includes('{domain}')) continue;
      expect({ operation, may: may(who('rival', '_', 'admin'), operation) }).toEqual({ operation, may: false });
      if (path.includes('{project}')) expect({ operation, may: may(who('acme', 'blog', 'admin'), operation) }).toEqual({ operation, may: false });
    }
  });
  it.each([
    ['domain.apply', { noun: 'domain', domain: '_', project: '_', environment: '_' }, 'admin - -'], ['credential.apply', { noun: 'credential', project: '_', environment: '_' }, 'admin admin -'], ['project.delete', { noun: 'project', verb: 'delete', project: '_' }, 'admin admin -'],
    ['environment.apply', { noun: 'environment' }, 'admin admin admin'], ['lease.release', { noun: 'lease', verb: 'release' }, 'admin admin admin'], ['credential.apply as if it lay in a project', { noun: 'credential' }, 'admin admin -'],
  ])('the intent %s', (_, over, expected) => expect(least('publishIntent', over)).toBe(expected));
  it('whoever it is about gets his own logins, and nobody else who is no admin', () => {
    expect(may(who('acme', 'shop', 'viewer', 'main'), 'getCredentialLogins')).toBe(true);
    expect(may(who('acme', 'shop', 'viewer', 'other'), 'getCredentialLogins')).toBe(false);
    expect(may(who('rival', '_', 'admin', 'main'), 'getCredentialLogins')).toBe(false);
    expect(may(who('_', '_', 'viewer', 'main'), 'getCredentialLogins')).toBe(false);
    expect(may(who('_', '_', 'viewer', 'main'), 'getPlatformCredentialLogins')).toBe(true);
  });
  it('a node gets its own logins, and nothing else', () => {
    const node: Principal = { ...who('_', '_', 'viewer', 'main'), node: 'n1' };
    expect(routes.filter(({ open }) => open !== true).map(({ operation }) => operation).filter((operation) => may(node, operation))).toEqual(['getPlatformCredentialLogins']);
    expect(may(node, 'getPlatformCredentialLogins', { name: 'other' })).toBe(false);
    expect(may({ ...node, role: 'admin' }, 'getPlatformCredentialLogins', { name: 'other' })).toBe(false);
  });
});

describe('where documents are looked for', () => {
  const at = (principal: Principal, kind: Parameters<typeof readWithin>[1], domain: string, project: string): string => {
    try {
      const scope = readWithin(principal, kind, { domain, project, environment: '_' });
      return `${scope.domain}/${scope.project}`;
    } catch {
      return 'refused';
    }
  };
  it.each([
    ['network', '_', '_', '_/_ acme/_ acme/shop'], ['network', 'acme', 'shop', 'acme/shop acme/shop acme/shop'], ['network', 'acme', 'blog', 'acme/blog acme/blog refused'], ['network', 'rival', '_', 'rival/_ refused refused'],
    ['project', 'acme', '_', 'acme/_ acme/_ acme/shop'], ['project', '_', '_', '_/_ acme/_ acme/shop'], ['domain', '_', '_', '_/_ acme/_ acme/_'], ['domain', 'rival', '_', 'rival/_ refused refused'],
    ['credential', '_', '_', '_/_ acme/_ refused'], ['credential', 'acme', '_', 'acme/_ acme/_ refused'], ['credential', 'rival', '_', 'rival/_ refused refused'], ['node', '_', '_', '_/_ refused refused'], ['platform-credential', '_', '_', '_/_ refused refused'],
  ] as const)('%s in %s/%s', (kind, domain, project, expected) => {
    expect([who('_', '_', 'viewer'), who('acme', '_', 'viewer'), who('acme', 'shop', 'viewer')].map((principal) => at(principal, kind, domain, project)).join(' ')).toBe(expected);
  });
});
