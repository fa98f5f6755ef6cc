import { describe, expect, it } from '@jest/globals';
import { roles } from '@osier/contracts/roles';
import { Refusal } from './answers.ts';
import { mustBe, mustBePlatform, mustReach, type Principal, principalOf, within } from './principal.ts';

const platform = principalOf({ domain: '_', project: '_' }, 'ops', 'admin');
const domain = principalOf({ domain: 'acme', project: '_' }, 'ci', 'admin');
const project = principalOf({ domain: 'acme', project: 'shop' }, 'ci', 'admin');
const allowed = (work: () => unknown): boolean => {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.status === 403 && error.problem.code === 'not-allowed') return false;
    throw error;
  }
};

describe('a principal', () => {
  it('is called so that no tenant passes for the platform', () => {
    expect([platform.token, platform.path]).toEqual(['platform-ops', 'platform-ops']);
    expect([domain.token, domain.path]).toEqual(['ci', 'acme/ci']);
  });
  it.each<[string, Principal, string, string, boolean]>([
    ['the platform', platform, '_', '_', true], ['the platform', platform, 'acme', '_', true], ['the platform', platform, 'rival', 'vault', true],
    ['a domain', domain, 'acme', '_', true], ['a domain', domain, 'acme', 'shop', true], ['a domain', domain, 'rival', '_', false], ['a domain', domain, 'rival', 'shop', false], ['a domain', domain, '_', '_', false], ['a domain', domain, '_', 'shop', false],
    ['a project', project, 'acme', 'shop', true], ['a project', project, 'acme', 'blog', false], ['a project', project, 'acme', '_', false], ['a project', project, 'rival', 'shop', false], ['a project', project, '_', 'shop', false], ['a project', project, '_', '_', false],
  ])('that counts in %s reaches', (_, who, d, p, reaches) => expect(allowed(() => mustReach(who, { domain: d, project: p }))).toBe(reaches));
  it('does what its role may, and each role before it', () => {
    for (const [i, has] of roles.entries()) for (const [j, needed] of roles.entries()) expect(allowed(() => mustBe({ ...domain, role: has }, needed))).toBe(i >= j);
  });
  it('of a domain is not the platform', () => expect([platform, domain, project].map((who) => allowed(() => mustBePlatform(who)))).toEqual([true, false, false]));
  it('is told the same of what exists and what does not: its own scope, and no other name', () => {
    for (const scope of [{ domain: 'rival', project: '_' }, { domain: 'ghost', project: 'x' }]) {
      expect(() => mustReach(domain, scope)).toThrow('The credential acme/ci counts in domain acme only.');
      expect(() => mustReach(project, scope)).toThrow('The credential acme/ci counts in project acme/shop only.');
    }
  });
});

describe('what is asked of everything', () => {
  it.each<[Principal, string, string, string | undefined]>([
    [platform, '_', '_', '_/_'], [platform, 'acme', '_', 'acme/_'], [platform, '_', 'shop', '_/shop'],
    [domain, '_', '_', 'acme/_'], [domain, 'acme', '_', 'acme/_'], [domain, '_', 'shop', 'acme/shop'], [domain, 'rival', '_', undefined], [domain, 'rival', 'shop', undefined],
    [project, '_', '_', 'acme/shop'], [project, 'acme', '_', 'acme/shop'], [project, '_', 'shop', 'acme/shop'], [project, '_', 'blog', undefined], [project, 'acme', 'blog', undefined], [project, 'rival', '_', undefined], [project, 'rival', 'shop', undefined],
  ])('$path about %2$s/%3$s', (who, d, p, found) => {
    let at: string | undefined;
    expect(allowed(() => {
      const scope = within(who, { domain: d, project: p });
      at = `${scope.domain}/${scope.project}`;
    })).toBe(found !== undefined);
    expect(at).toBe(found);
  });
});
