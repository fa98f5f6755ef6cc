// What fuzzing has found once, each by itself: hostile intents at the real services in memory.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Outcome } from '@osier/contracts/outcome';
import type { Platform } from '@osier/testing/platform';
import { startControlPlane } from '../scenarios/control-plane.ts';

describe('an intent that was made to do harm', () => {
  let platform: Platform;
  const at = { domain: 'acme', project: 'shop', environment: 'staging' };
  beforeAll(async () => {
    platform = await startControlPlane();
    await platform.wish({ noun: 'domain', verb: 'apply', id: 'd', body: { name: 'acme', spec: {} } });
    await platform.wish({ domain: 'acme', noun: 'project', verb: 'apply', id: 'p', body: { name: 'shop', spec: {} } });
    await platform.wish({ domain: 'acme', project: 'shop', noun: 'environment', verb: 'apply', id: 'e', body: { name: 'staging', spec: {} } });
  });
  afterAll(() => platform.close());

  const code = (outcome: Outcome): string => (outcome.result === 'refused' ? outcome.problem.code : outcome.result);

  it('does not stop the service, nor those behind it: a hundred thousand brackets', async () => {
    await platform.publish({ ...at, noun: 'network', verb: 'apply', id: 'deep', body: `{"name":"main","spec":{"subnets":${'['.repeat(100_000)}${']'.repeat(100_000)}}}` });
    const behind = await platform.wish({ ...at, noun: 'network', verb: 'apply', id: 'behind', body: { name: 'main', spec: { subnets: ['10.0.0.0/24'] } } });
    expect(code(behind)).toBe('accepted');
    expect(code(await platform.outcome(at, 'deep'))).toBe('wrong-type');
  });

  it.each([['*', '*'], ['>', '>'], ['very long', 'x'.repeat(3_900)], ['a/b', 'a/b'], ['ü', 'ü']])('has its one outcome although its project is %s', async (_what, project) => {
    const others = await platform.wish({ ...at, noun: 'network', verb: 'apply', id: `before-${project.length}`, body: { name: 'main', spec: { subnets: ['10.0.0.0/24'] } } });
    expect(code(others)).toBe('accepted');
    const id = `in-${encodeURIComponent(project).replaceAll('%', '_').slice(0, 20).replaceAll('*', 'star')}`;
    await platform.publish({ ...at, project, noun: 'network', verb: 'apply', id, body: {} });
    expect(code(await platform.outcome({ domain: 'acme', project: '_invalid' }, id))).toBe('invalid-name');
    await platform.check();
  });

  it("cannot take another's id, be it by a slash in its scope or as the number of another", async () => {
    await platform.publish({ domain: 'acme', project: 'shop/x', environment: 'staging', noun: 'network', verb: 'apply', id: 'slash', body: {} });
    await platform.publish({ domain: 'acme/shop', project: 'x', environment: 'staging', noun: 'network', verb: 'apply', id: 'slash', body: {} });
    expect(code(await platform.outcome({ domain: 'acme', project: '_invalid' }, 'slash'))).toBe('invalid-name');
    expect(code(await platform.outcome({ domain: '_invalid', project: 'x' }, 'slash'))).toBe('invalid-name');
    const sequence = await platform.publish({ ...at, noun: 'network', verb: 'apply', id: 'seq-1', body: {} });
    expect((await platform.outcome(at, `seq-${sequence}`)).intentId).toBe(`seq-${sequence}`);
  });
});
