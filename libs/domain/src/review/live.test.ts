import { describe, expect, it } from '@jest/globals';
import { endpoint, partyOf, policy, policyOfKind, type PolicyDocument } from '../../test/policies.ts';
import { indexWorld } from '../rules/index-world.ts';
import { osierPolicy, scopeTagsOf } from '../rules/osier.ts';
import { afterChange, type Open } from './live.ts';

const staging = 'acme/shop/staging';
const parties = ['web', 'db'].map((name) => partyOf(endpoint(name, { app: name })));
const world = (policies: readonly PolicyDocument[], of = parties) => indexWorld({ scopes: [{ name: staging, tags: scopeTagsOf(staging) }], nodes: [], parties: of, policies: policies.map((one) => osierPolicy(one)) });
const open: Open = { from: `${staging}/web`, to: `${staging}/db`, protocol: 'TCP', port: 5432, family: 4 };
const toDb = { appliesTo: { matchTags: { app: 'db' } } };
const fromWeb = (...ports: object[]) => ({ ...toDb, ingress: [{ name: 'web', action: 'Allow' as const, from: [{ endpoints: { matchTags: { app: 'web' } } }], ports }] }) as Parameters<typeof policy>[1];
const closed = (more: object = {}): PolicyDocument => policy('closed', { ...toDb, ingress: [], ...more });
const out = (more: object = {}): PolicyDocument => policy('out', { appliesTo: { matchTags: { app: 'web' } }, egress: [], ...more });
const tcp = (port: number) => ({ protocol: 'TCP', port });

describe('a connection that there is', () => {
  it.each<[string, PolicyDocument[], PolicyDocument[], Partial<Open>, unknown]>([
    ['goes on where nothing changes', [], [], {}, { becomes: 'goes on' }],
    ['goes on where another rule allows it', [], [policy('web', fromWeb(tcp(5432)))], {}, { becomes: 'goes on' }],
    ['ends where ingress denies it', [], [closed()], {}, { becomes: 'ends', cause: { type: 'now', verdict: 'Deny', kind: 'policy', policy: `${staging}/closed`, rule: 'default-deny' } }],
    ['ends where egress denies it', [], [out()], {}, { becomes: 'ends', cause: { policy: `${staging}/out` } }],
    ['ends by its own port', [policy('web', fromWeb(tcp(5432), tcp(80)))], [policy('web', fromWeb(tcp(80)))], {}, { becomes: 'ends' }],
    ['goes on by its own port', [policy('web', fromWeb(tcp(5432), tcp(80)))], [policy('web', fromWeb(tcp(80)))], { port: 80 }, { becomes: 'goes on' }],
    ['ends by its own protocol', [], [policy('web', fromWeb(tcp(5432)))], { protocol: 'UDP' }, { becomes: 'ends' }],
    ['of an echo goes on by type and code', [], [policy('web', fromWeb({ protocol: 'ICMP', type: 8 }))], { protocol: 'ICMP', port: 0x0800 }, { becomes: 'goes on' }],
    ['of an echo ends by type and code', [], [policy('web', fromWeb({ protocol: 'ICMP', type: 3 }))], { protocol: 'ICMP', port: 0x0800 }, { becomes: 'ends' }],
    ['the other way round is another', [], [closed()], { from: open.to, to: open.from }, { becomes: 'goes on' }],
    ['that is denied already is none of the change', [closed()], [closed(), out()], {}, { becomes: 'denied before' }],
    ['that is cut at this moment is none of the change, though it allows what is new', [closed()], [], {}, { becomes: 'denied before' }],
    ['that is kept goes on being kept', [closed({ liveConnections: 'keep' })], [closed({ liveConnections: 'keep', priority: 5 })], {}, { becomes: 'denied before' }],
    ['that is kept ends where it is kept no more', [closed({ liveConnections: 'keep' })], [closed()], {}, { becomes: 'ends' }],
    ['that is kept ends where another cuts it', [closed({ liveConnections: 'keep' })], [closed({ liveConnections: 'keep' }), out()], {}, { becomes: 'ends' }],
    ['that drains is given no more time', [closed({ liveConnections: 'drain', drainSeconds: 5 })], [closed({ liveConnections: 'drain', drainSeconds: 50 })], {}, { becomes: 'denied before' }],
    ['that drains goes on where it is allowed again', [closed({ liveConnections: 'drain' })], [], {}, { becomes: 'goes on' }],
    ['drains where the policy lets it', [], [closed({ liveConnections: 'drain', drainSeconds: 5 })], {}, { becomes: 'drains', seconds: 5 }],
    ['is kept where the policy keeps it', [], [closed({ liveConnections: 'keep' })], {}, { becomes: 'kept' }],
    ['ends where one of two sides lets it live no longer', [], [closed({ liveConnections: 'keep' }), out()], {}, { becomes: 'ends' }],
    ['drains for the shorter of two times', [], [closed({ liveConnections: 'drain', drainSeconds: 5 }), out({ liveConnections: 'drain', drainSeconds: 50 })], {}, { becomes: 'drains', seconds: 5 }],
    ['ends where a wider scope denies it', [], [policyOfKind('domain-policy', 'no', { tier: 'Admin', appliesTo: {}, ingress: [{ action: 'Deny' }] })], {}, { becomes: 'ends', cause: { kind: 'domain-policy' } }],
    ['of somebody who was not read is not decided', [], [closed()], { from: undefined }, { becomes: 'undecided', reason: expect.stringContaining('not among') }],
    ['of somebody who is not known is not decided', [], [closed()], { from: `${staging}/cron` }, { becomes: 'undecided' }],
  ])('%s', (_what, before, after, over, expected) => expect(afterChange(world(before), world(after), { ...open, ...over })).toMatchObject(expected as object));

  it('ends with whoever goes', () => {
    expect(afterChange(world([]), world([], parties.slice(0, 1)), open)).toEqual({ becomes: 'ends', cause: { type: 'gone' } });
  });
});
