import { catalogue } from '@osier/contracts/catalogue';
import { askConnectionsSubject, barrierSubject, connectionsSubject, documentSubject, flowSubject, intentSubject, observationSubject, outcomeSubject, querySubject, receiptSubject } from '@osier/contracts/subjects';
import { interestSubject } from '@osier/contracts/coordination';
import { deadSubject } from '@osier/contracts/dead';
import { kindNames } from '@osier/contracts/kinds';
import { queries, type QueryName } from '@osier/contracts/queries';
import { streams } from '@osier/contracts/streams';
import { blog, shop, vault } from './land.ts';
import type { Person } from './people.ts';

/** One thing that can be said on the bus. `body`: what the JetStream API would have to be told for it to work. */
export interface Speech { readonly kind: string; readonly subject: string; readonly body?: Readonly<Record<string, unknown>> }

const id = '01997f5e-5b3c-7cc0-8000-000000000001';
const scopes = [
  ...[shop, blog, vault].map(({ domain, project, environment }) => ({ domain, project, environment })),
  { domain: 'acme', project: 'shop', environment: '_' }, { domain: 'acme', project: '_', environment: '_' }, { domain: 'rival', project: '_', environment: '_' },
  { domain: '_', project: '_', environment: '_' }, { domain: 'acme-2', project: 'shop', environment: 'staging' }, { domain: 'osier', project: 'shop', environment: 'staging' },
];
const nodes = ['n1', 'n2', 'n1-2'];

/** Every subject of the contracts, with each name that could stand in it. */
export function contractSubjects(who: Person): Speech[] {
  const tokens = [...new Set([who.token, who.token === 'admin' ? 'editor' : 'admin', 'spymaster', 'platform-watch', 'osier-topology', `${who.token}-2`])];
  const say = (kind: string, subjects: readonly string[]): Speech[] => subjects.map((subject) => ({ kind, subject }));
  return [
    ...say('intent', catalogue.flatMap(({ noun, verb }) => scopes.flatMap((scope) => tokens.map((credential) => intentSubject({ ...scope, noun, verb, credential }))))),
    ...say('state', [...kindNames.flatMap((kind) => scopes.slice(0, 3).map((scope) => documentSubject({ ...scope, kind, parent: '_', id }))), barrierSubject, interestSubject(id)]),
    ...say('outcome', scopes.map(({ domain, project }) => outcomeSubject(domain, project, 'forged'))),
    ...say('dead letter', scopes.map(({ domain, project }) => deadSubject(domain, project, 'forged'))),
    ...say('audit record', [`osier.audit.acme_${who.token}`, `osier.audit.${who.token}`, 'osier.audit.rival_spymaster', 'osier.audit._']),
    ...say('receipt', nodes.map(receiptSubject)),
    ...say('question to a node', nodes.map(askConnectionsSubject)),
    ...say('answer of a node', nodes.map(connectionsSubject)),
    ...say('observation', nodes.flatMap((node) => [observationSubject(node, 'hello'), observationSubject(node, 'drift'), observationSubject('_', `streams-${node}`)])),
    ...say('flow', nodes.flatMap((node) => scopes.slice(0, 4).flatMap(({ domain, project }) => [flowSubject(domain, project, node), `osier.live.${flowSubject(domain, project, node).slice('osier.'.length)}`]))),
    ...say('query', (Object.keys(queries) as QueryName[]).flatMap((name) => scopes.slice(2, 7).map(({ domain, project }) => querySubject(queries[name].service, domain, project, name.slice(queries[name].service.length + 1))))),
  ];
}

const everything = ['osier.state.rival.>', 'osier.state.acme.>', 'osier.state._.>'];
const consumer = (name: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> =>
  ({ stream_name: 'STATE', config: { name, ack_policy: 'none', deliver_policy: 'all', replay_policy: 'instant', filter_subjects: everything, ...more } });

/** What JetStream can be asked, for every stream: streams, messages, consumers of one's own in each of their forms, direct gets in both of theirs, other's deliveries. */
export function jetStreamCalls(): Speech[] {
  const api = (kind: string, call: string, body: Record<string, unknown> = {}): Speech => ({ kind, subject: `$JS.API.${call}`, body });
  return [
    ...['INFO', 'STREAM.NAMES', 'STREAM.LIST', 'ACCOUNT.PURGE.x', 'META.LEADER.STEPDOWN', 'SERVER.REMOVE', 'STREAM.TEMPLATE.NAMES'].map((call) => api('stream', call)),
    api('stream', 'STREAM.CREATE.MINE', { name: 'MINE', subjects: ['mine.>'], sources: [{ name: 'STATE' }] }),
    api('stream', 'STREAM.CREATE.COPY', { name: 'COPY', mirror: { name: 'CHANGES' } }),
    ...Object.keys(streams).flatMap((name) => [
      api('stream', `STREAM.INFO.${name}`, { subjects_filter: '>' }), api('stream', `STREAM.UPDATE.${name}`, { name, subjects: ['osier.>'], republish: { src: '>', dest: '_INBOX.mine.>' } }),
      ...['STREAM.DELETE', 'STREAM.PURGE', 'STREAM.LEADER.STEPDOWN', 'STREAM.PEER.REMOVE'].map((call) => api('stream', `${call}.${name}`)),
      api('message', `STREAM.MSG.GET.${name}`, { last_by_subj: 'osier.state.rival.>' }), api('message', `STREAM.MSG.GET.${name}`, { seq: 1 }), api('message', `STREAM.MSG.DELETE.${name}`, { seq: 1 }),
      api('stream', `STREAM.SNAPSHOT.${name}`, { deliver_subject: '_INBOX.mine.snapshot' }), api('stream', `STREAM.RESTORE.${name}`, { config: { name } }),
      api('direct get, in the body', `DIRECT.GET.${name}`, { last_by_subj: 'osier.state.rival.>' }), api('direct get, in the body', `DIRECT.GET.${name}`, { seq: 1, batch: 100 }),
      api('direct get, in the body', `DIRECT.GET.${name}`, { multi_last: everything }), api('direct get, by subject', `DIRECT.GET.${name}.osier.state.rival.vault.hidden.network._.${id}`),
      ...['CONSUMER.NAMES', 'CONSUMER.LIST'].map((call) => api('consumer', `${call}.${name}`)),
    ]),
    api('consumer, several filters', 'CONSUMER.CREATE.STATE.mine', consumer('mine')),
    api('consumer, several filters', 'CONSUMER.CREATE.STATE.node-n1', consumer('node-n1', { durable_name: 'node-n1', ack_policy: 'all' })),
    api('consumer, several filters', 'CONSUMER.CREATE.STATE.join-n1', consumer('join-n1')),
    api('consumer, one filter', 'CONSUMER.CREATE.STATE.mine.osier.state.rival.>', consumer('mine', { filter_subjects: undefined, filter_subject: 'osier.state.rival.>' })),
    api('consumer, the old way', 'CONSUMER.CREATE.STATE', consumer('', { name: undefined })),
    api('consumer, the old way', 'CONSUMER.DURABLE.CREATE.STATE.mine', consumer('mine', { durable_name: 'mine' })),
    ...['_INBOX.mine', 'osier.outcome.acme.shop.pushed', 'osier.outcome.rival.vault.pushed', 'osier.intent.rival.vault.hidden.network.apply.spymaster', 'osier.receipt.n2'].map((deliver_subject) =>
      api('consumer, deliver_subject', 'CONSUMER.CREATE.STATE.push', consumer('push', { deliver_subject }))),
    ...['node-n1', 'node-n2', 'join-n2', 'known-policy', 'intents-tenant'].flatMap((name) => ['STATE', 'INTENTS'].flatMap((stream) => [
      api('consumer', `CONSUMER.INFO.${stream}.${name}`), api('consumer', `CONSUMER.DELETE.${stream}.${name}`), api('consumer', `CONSUMER.PAUSE.${stream}.${name}`), api('consumer', `CONSUMER.LEADER.STEPDOWN.${stream}.${name}`),
      api('fetch', `CONSUMER.MSG.NEXT.${stream}.${name}`, { batch: 5, no_wait: true }),
      { kind: 'acknowledgement', subject: `$JS.ACK.${stream}.${name}.1.1.1.1700000000000000000.0` }, { kind: 'acknowledgement', subject: `$JS.ACK._.ACCHASH.${stream}.${name}.1.1.1.1700000000000000000.0` },
      { kind: 'flow control', subject: `$JS.FC.${stream}.${name}.abc` },
    ])),
  ];
}

/** `account`: some account's public key. */
export const systemCalls = (account: string): Speech[] => [
  ...['CLAIMS.UPDATE', 'CLAIMS.LIST', 'CLAIMS.DELETE', 'CLAIMS.PACK', `ACCOUNT.${account}.CLAIMS.LOOKUP`, `ACCOUNT.${account}.CLAIMS.UPDATE`, `ACCOUNT.${account}.CONNZ`, `ACCOUNT.${account}.INFO`, 'ACCOUNT.PING.CONNZ', 'ACCOUNT.PING.STATZ',
    'SERVER.PING', 'SERVER.PING.CONNZ', 'SERVER.PING.SUBSZ', 'SERVER.PING.ACCOUNTZ', 'SERVER.PING.JSZ', 'SERVER.PING.VARZ', 'SERVER.x.KICK', 'SERVER.x.RELOAD', 'USER.INFO'].map((call) => ({ kind: 'system', subject: `$SYS.REQ.${call}` })),
  ...['$SYS.ACCOUNT.x.CONNECT', `$SYS._INBOX.${account}`, '$SYS.DEBUG.SUBSCRIBERS'].map((subject) => ({ kind: 'system', subject })),
  ...['$SRV.PING', '$SRV.INFO', '$SRV.STATS.osier-tenant'].map((subject) => ({ kind: 'service discovery', subject })),
  ...['_INBOX.other.1', '_INBOX.>', '_R_.abc.def', '_GR_.x.y.z', '$NRG.V.x', '$KV.x.y', '$O.x.C.y'].map((subject) => ({ kind: 'inbox', subject })),
];

/** Where the answer to what one may say is not to arrive. */
export const strangeReplies: readonly string[] = [
  'osier.intent.rival.vault.hidden.network.apply.spymaster', 'osier.intent.acme.shop.staging.network.apply.osier-topology', 'osier.outcome.rival.vault.forged', 'osier.outcome.acme.shop.forged', documentSubject({ ...vault, kind: 'network', parent: '_', id }),
  'osier.receipt.n2', 'osier.ask.connections.n2', 'osier.connections.n2', 'osier.observation.n2.hello', 'osier.flow.rival.vault.n2', 'osier.dead.rival.vault.forged', 'osier.audit._', 'osier.query.tenant._._.list', '$JS.API.STREAM.DELETE.STATE', '$JS.API.STREAM.INFO.STATE', '$SYS.REQ.CLAIMS.LIST', '_INBOX.other.2', '_R_.abc.ghi',
];
/** What somebody may try to listen to. */
export const ears: readonly string[] = [
  '>', '*', '*.>', 'osier.>', 'osier.*.>', '*.*.rival.>', 'osier.state.>', 'osier.state.rival.>', 'osier.intent.>', 'osier.intent.rival.>', 'osier.outcome.>', 'osier.outcome.*.*.*', 'osier.outcome.rival.>', 'osier.outcome.*.vault.>', 'osier.outcome.acme.>', 'osier.outcome.acme.shop.>',
  'osier.outcome.acme.blog.>', 'osier.outcome.acme._.*', 'osier.outcome._._.*', 'osier.flow.>', 'osier.flow.rival.>', 'osier.flow.*.*.n2', 'osier.flow.acme.>', 'osier.flow.acme.shop.>', 'osier.flow.acme.blog.>', 'osier.live.>', 'osier.live.flow.rival.>', 'osier.live.flow.acme.>', 'osier.query.>', 'osier.receipt.>', 'osier.receipt.n1',
  'osier.ask.>', 'osier.ask.connections.*', 'osier.ask.connections.n1', 'osier.ask.connections.n2', 'osier.connections.>', 'osier.connections.*', 'osier.connections.n1', 'osier.connections.n2',
  'osier.observation.>', 'osier.dead.>', 'osier.audit.>', '_INBOX.>', '$JS.>', '$JS.API.>', '$JS.ACK.>', '$JS.EVENT.>', '$JS.FC.>', '$SYS.>', '$SYS.ACCOUNT.>', '$SYS.REQ.>', '$SRV.>', '_R_.>', '_GR_.>', '$NRG.>', '$KV.>', '$O.>',
];
