import { describe, expect, it } from '@jest/globals';
import type { Receipt } from '@osier/contracts/telemetry';
import { id, staging } from '../../test/documents.ts';
import { type Change, enforcementOf, type Standing } from './enforcement.ts';
import { interestOf } from './interest.ts';
import { isFree } from './quarantine.ts';

const moment = { incarnation: 'one', now: 100_000 };
const receipt = (revision: number, more: Partial<Receipt> & { receivedAt?: number } = {}): NonNullable<Standing['receipt']> => ({
  node: 'n', incarnation: 'one', revision, epoch: 1, digest: 'd', readBackAt: '2026-01-01T00:00:00.000Z', endpoints: [], pending: [],
  counts: { addresses: 0, identities: 0, policyEntries: 0, rules: 0 }, receivedAt: moment.now, ...more,
});
const interest = interestOf(id(1), [{ ...staging, id: id(2) }]);
const node = (more: Partial<Standing> = {}): Standing => ({ name: 'node-1', wanted: interest, told: { filters: interest, revision: 10 }, receipt: receipt(20), ...more });
const change = (revision: number, more: Partial<Change> = {}): Change => ({ kind: 'endpoint', id: id(5), subject: `osier.state.acme.shop.staging.endpoint.${id(2)}.${id(5)}`, revision, ...more });
const why = (standing: Standing, ...changes: Change[]): string | undefined => enforcementOf(changes, [standing], moment).nodes[0]?.why;

describe('a change is enforced', () => {
  it('when every node that hears of it has a receipt as high', () => {
    expect(enforcementOf([change(20), change(15)], [node(), node({ name: 'node-2', receipt: receipt(25) })], moment)).toEqual({
      state: 'enforced', revision: 20,
      nodes: [{ node: 'node-1', enforced: true, revision: 20, readBackAt: '2026-01-01T00:00:00.000Z' }, { node: 'node-2', enforced: true, revision: 25, readBackAt: '2026-01-01T00:00:00.000Z' }],
    });
  });
  it('by nobody where no node hears of it, and that is said', () => {
    expect(enforcementOf([change(20, { subject: 'osier.state.acme._._.domain._.x' })], [node()], moment)).toEqual({ state: 'none', revision: 20, nodes: [] });
    expect(enforcementOf([], [node()], moment)).toEqual({ state: 'none', revision: 0, nodes: [] });
  });
  it('while another node still lacks it: it is named', () => {
    expect(enforcementOf([change(20)], [node(), node({ name: 'node-2', receipt: receipt(19) })], moment)).toMatchObject({ state: 'waiting', nodes: [{ enforced: true }, { node: 'node-2', enforced: false }] });
  });

  it.each<[string, Partial<Standing>, RegExp]>([
    ['never said anything', { told: undefined, receipt: undefined }, /never said anything/],
    ['has begun only', { receipt: undefined }, /not confirmed anything/],
    ['is behind', { receipt: receipt(19) }, /confirmed revision 19, and 20 is needed/],
    ['is behind and spoke lately', { receipt: receipt(19, { receivedAt: moment.now - 4_000 }) }, /confirmed revision 19, and 20 is needed; last heard of 4 s ago$/],
    ['is behind and begins to be silent', { receipt: receipt(19, { receivedAt: moment.now - 16_000 }) }, /silent for 16 s, is its agent running/],
    ['is behind and silent', { receipt: receipt(19, { receivedAt: moment.now - 45_000 }) }, /silent for 45 s/],
    ['is not told yet', { told: { filters: interestOf(id(1), []), revision: 10 } }, /being told/],
    ['speaks of what does not exist yet', { ahead: true }, /does not exist yet/],
    ['counts another stream', { receipt: receipt(20, { incarnation: 'two' }) }, /another incarnation/],
    ['could not do it', { receipt: receipt(20, { pending: [{ kind: 'endpoint', id: id(5), path: 'acme/shop/staging/web', code: 'x', reason: 'no namespace' }] }) }, /acme\/shop\/staging\/web into force: no namespace/],
  ])('not by a node that %s', (_what, more, expected) => expect(why(node(more), change(20))).toMatch(expected));

  it('not by a receipt that is older than what told the node of it, although its revision is higher', () => {
    expect(why(node({ told: { filters: interest, revision: 22 }, receipt: receipt(21) }), change(20))).toMatch(/22 is needed/);
    expect(why(node({ told: { filters: interest, revision: 22 }, receipt: receipt(22) }), change(20))).toBeUndefined();
  });
  it('although something else could not be done', () => {
    // An id that somebody guessed, of an object of another project.
    expect(why(node({ receipt: receipt(20, { pending: [{ kind: 'endpoint', id: id(5), path: 'rival/shop/staging/web', code: 'x', reason: 'r' }] }) }), change(20))).toBeUndefined();
    expect(why(node({ receipt: receipt(20, { pending: [{ kind: 'endpoint', id: id(6), path: 'p', code: 'x', reason: 'r' }] }) }), change(20))).toBeUndefined();
  });
  it("and tells nothing of what lies elsewhere, though it is asked for by its id", () => {
    expect(why(node({ receipt: receipt(20, { pending: [{ kind: 'endpoint', id: id(5), path: 'rival/vault/hidden/mole', code: 'x', reason: 'r' }] }) }), change(20))).toBeUndefined();
  });
  it('when a node that no longer wants it, but was told, has confirmed it', () => {
    expect(why(node({ wanted: [], receipt: receipt(19) }), change(20))).toMatch(/20 is needed/);
  });
});

describe('the address of an endpoint that is gone', () => {
  const gone = { endpoint: id(5), revision: 20 };
  it.each<[string, boolean, Standing[], number[]]>([
    ['is free when every node has confirmed', true, [node(), node({ receipt: receipt(30) })], []],
    ['is free where no node was ever told anything', true, [node({ told: undefined, receipt: undefined })], []],
    ['is free where there are no nodes', true, [], []],
    ['is held while one has not', false, [node(), node({ receipt: receipt(19) })], []],
    ['is held while one is silent, however long', false, [node(), node({ receipt: receipt(19, { receivedAt: 0 }) })], []],
    ['is held while one was told and never confirmed', false, [node(), node({ receipt: undefined })], []],
    ['is held by a node that was not told of it lately: its kernel may remember', false, [node({ wanted: [], told: { filters: [], revision: 10 }, receipt: receipt(19) })], []],
    ['is held by a confirmation of what does not exist yet', false, [node({ ahead: true })], []],
    ['is held by a confirmation of another incarnation', false, [node({ receipt: receipt(20, { incarnation: 'two' }) })], []],
    ['is held while its removal is pending', false, [node({ receipt: receipt(20, { pending: [{ kind: 'endpoint', id: id(5), path: 'p', code: 'x', reason: 'r' }] }) })], []],
    ['is held until the removal of a node is confirmed by the others', false, [node({ receipt: receipt(24) })], [25]],
    ['is free when it is', true, [node({ receipt: receipt(25) })], [25]],
  ])('%s', (_what, expected, nodes, removals) => expect(isFree(gone, nodes, removals, moment)).toBe(expected));
});
