import { catalogue, type IntentDeclaration } from '@osier/contracts/catalogue';
import { type Kind, kindsOf, type Service } from '@osier/contracts/kinds';
import { none } from '@osier/contracts/names';
import { credentialToken, mayAs, type Reach, type Role } from '@osier/contracts/roles';
import { type StreamName, streams } from '@osier/contracts/streams';
import { askConnectionsSubject, connectionsSubject } from '@osier/contracts/subjects';
import { probeNames } from './jetstream/confirm.ts';
import { livePrefix } from './jetstream/streams.ts';

/**
 * Who may say and hear what on the bus. Pure: what nats-server is told of it is in authority.ts.
 *
 *   SERVICES      the streams; each service and the api publish there what they own
 *   a credential  has an account: publishes its own intents, hears the outcomes and flows of its scope
 *   a node        has an account: fetches and acknowledges on its two consumers, says what it alone may say, and hears what it alone is asked
 *
 * Accounts isolate; permissions inside one do not (docs/adr/0004-accounts.md), so the last two import what they may from the first.
 */
export interface Permission { readonly publish: readonly string[]; readonly subscribe: readonly string[] }
export interface Import { readonly type: 'service' | 'stream'; readonly subject: string; readonly to?: string }
export interface Grant extends Permission {
  readonly imports: readonly Import[];
  readonly connections: number;
  readonly subscriptions: number;
}
export interface Export { readonly type: 'service' | 'stream'; readonly subject: string; readonly many?: boolean }

/** What happens at each: the server closes or refuses the connection, or refuses the message, and says so to the client. */
export const serverLimits = {
  /** Bytes of one message with its headers. */
  maxPayload: 1024 * 1024,
  maxConnections: 20_000,
  /** Connections of one credential, and of one node. */
  connectionsPerCredential: 64,
  connectionsPerNode: 8,
  subscriptionsPerCredential: 256,
  subscriptionsPerNode: 256,
  /** Bytes a client may leave unread before the server drops it as a slow consumer. */
  maxPending: 64 * 1024 * 1024,
  /** Bytes that all streams together may take on disk. */
  maxFileStore: 64 * 1024 * 1024 * 1024,
};

export const inbox = '_INBOX.>';
/** The consumers on STATE that topology makes for a node, and the only ones that the node may fetch from. */
export const nodeConsumers = (node: string): { readonly state: string; readonly join: string } => ({ state: `node-${node}`, join: `join-${node}` });

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
/** A name that stands in a subject or in a list of permissions must not be more than one token of it. */
function label(what: string, value: string): string {
  if (!dnsLabel.test(value)) throw new Error(`no account can be made: ${what} ${JSON.stringify(value.slice(0, 80))} is not a name`);
  return value;
}

/** Intents that others than services may wish. */
const wishes = (): readonly IntentDeclaration[] => catalogue.filter((i) => !i.internal);
const depth = { platform: 0, domain: 1, project: 2, environment: 3 } as const;
/** An intent is spoken where its object is put, so who reaches only a project may speak at the project's level or below. */
const spokenWithin = (reach: Reach, i: IntentDeclaration): boolean =>
  depth[i.level] >= (reach.domain === none ? 0 : reach.project === none ? 1 : 2);

/** What the services' account offers to the others; each of them is given a part of it. */
export const servicesExports = (): readonly Export[] => [
  ...wishes().map((i): Export => ({ type: 'service', subject: `osier.intent.*.*.*.${i.noun}.${i.verb}.*` })),
  { type: 'stream', subject: 'osier.outcome.>' },
  { type: 'stream', subject: `${livePrefix}.flow.>` },
  // One request for many messages has many answers.
  { type: 'service', subject: '$JS.API.CONSUMER.MSG.NEXT.STATE.*', many: true },
  { type: 'service', subject: '$JS.ACK.STATE.*.>' },
  { type: 'service', subject: 'osier.receipt.*' },
  { type: 'service', subject: 'osier.flow.*.*.*' },
  { type: 'service', subject: 'osier.observation.*.>' },
  { type: 'stream', subject: askConnectionsSubject('*') },
  { type: 'service', subject: connectionsSubject('*') },
];

export interface CredentialFacts extends Reach { readonly name: string; readonly role: Role }

/** Reads what became of the wishes of its scope, hears its flows, and wishes what its role may, in its own name. */
export function credentialGrant(c: CredentialFacts): Grant {
  const at = (token: string, what: string): string => (token === none ? '*' : label(what, token));
  const [domain, project] = [at(c.domain, 'domain'), at(c.project, 'project')];
  const token = credentialToken(c, label('credential', c.name));
  const scope = c.domain === none ? '>' : c.project === none ? `${domain}.>` : `${domain}.${project}.>`;
  const [outcomes, flows] = [`osier.outcome.${scope}`, `osier.flow.${scope}`];
  const own = wishes().filter((i) => mayAs(c.role, i.role) && spokenWithin(c, i)).map((i) => `osier.intent.${domain}.${project}.*.${i.noun}.${i.verb}.${token}`);
  return {
    publish: own,
    subscribe: [outcomes, flows, inbox],
    imports: [
      ...own.map((subject): Import => ({ type: 'service', subject })),
      { type: 'stream', subject: outcomes }, { type: 'stream', subject: `${livePrefix}.flow.${scope}`, to: flows },
    ],
    connections: serverLimits.connectionsPerCredential, subscriptions: serverLimits.subscriptionsPerCredential,
  };
}

/** What a node may say to the services' account; all of it names the node itself. */
export function nodeSubjects(node: string): readonly string[] {
  const consumers = Object.values(nodeConsumers(label('node', node)));
  return [
    ...consumers.map((consumer) => `$JS.API.CONSUMER.MSG.NEXT.STATE.${consumer}`),
    ...consumers.map((consumer) => `$JS.ACK.STATE.${consumer}.>`),
    `osier.receipt.${node}`,
    `osier.flow.*.*.${node}`,
    `osier.observation.${node}.>`,
    connectionsSubject(node),
  ];
}
/** What a node is asked. */
export const nodeQuestions = (node: string): readonly string[] => [askConnectionsSubject(label('node', node))];
export function nodeGrant(node: string): Grant {
  const [subjects, questions] = [nodeSubjects(node), nodeQuestions(node)];
  return {
    publish: subjects, subscribe: [inbox, ...questions],
    imports: [...subjects.map((subject): Import => ({ type: 'service', subject })), ...questions.map((subject): Import => ({ type: 'stream', subject }))],
    connections: serverLimits.connectionsPerNode, subscriptions: serverLimits.subscriptionsPerNode,
  };
}

/** `admin`: for whoever has to look at the bus itself, or mend it, with tools of NATS; no program of Osier runs with it. */
export const serviceNames = ['tenant', 'ipam', 'topology', 'policy', 'api', 'admin'] as const;
export type ServiceName = (typeof serviceNames)[number];

/** Streams that a service may make anew when they were lost or set back; what was wished, decided and recorded is not among them. */
const replaceable: readonly StreamName[] = ['CHANGES', 'STATE', 'RECEIPTS', 'OBSERVATIONS'];
const api = (...calls: string[]): string[] => calls.map((call) => `$JS.API.${call}`);
/** Reading: what there is, single messages, and consumers. */
const reading = [...api('STREAM.INFO.*', 'STREAM.MSG.GET.*', 'CONSUMER.CREATE.>', 'CONSUMER.INFO.*.*', 'CONSUMER.LIST.*', 'CONSUMER.DELETE.*.*', 'CONSUMER.MSG.NEXT.*.*'), '$JS.ACK.>', inbox];
const keeping = api('STREAM.CREATE.*', 'STREAM.UPDATE.*', 'STREAM.LEADER.STEPDOWN.*', 'STREAM.MSG.DELETE.*', ...probeNames.map((name) => `STREAM.DELETE.${name}`), ...replaceable.map((name) => `STREAM.DELETE.${name}`));
/** For backups, and for restoring one into an installation that has nothing yet. */
const copying = [...api('STREAM.SNAPSHOT.*', 'STREAM.RESTORE.*', 'STREAM.CREATE.*', 'STREAM.UPDATE.*', 'STREAM.DELETE.*'), '$JS.SNAPSHOT.ACK.>', '$JS.SNAPSHOT.RESTORE.>'];
const documents = (kinds: readonly (Kind | 'barrier' | 'interest')[]): string[] => kinds.map((kind) => `osier.state.*.*.*.${kind}.*.*`);

const ofService = (service: Service, more: readonly ('barrier' | 'interest')[] = []): Permission => ({
  publish: [
    ...documents([...kindsOf(service), ...more]), 'osier.outcome.>', 'osier.dead.>', `osier.intent.*.*.*.*.*.osier-${service}`,
    `osier.observation._.streams-${service}`, ...keeping, ...reading,
  ],
  subscribe: [`osier.query.${service}.>`, inbox],
});

const permissions: { readonly [N in ServiceName]: () => Permission } = {
  tenant: () => ofService('tenant'),
  ipam: () => ofService('ipam'),
  topology: () => ofService('topology', ['barrier', 'interest']),
  policy: () => ofService('policy'),
  api: () => ({ publish: ['osier.intent.>', 'osier.query.>', 'osier.audit.*', askConnectionsSubject('*'), ...api(`STREAM.PURGE.${streams.DEAD.name}`), ...copying, ...reading], subscribe: [inbox, connectionsSubject('*')] }),
  admin: () => ({ publish: ['>'], subscribe: ['>'] }),
};
/** What a service may say inside the services' account. */
export const servicePermission = (name: ServiceName): Permission => permissions[name]();
