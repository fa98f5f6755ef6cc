import { catalogue, type IntentDeclaration } from '@osier/contracts/catalogue';
import { intentPattern } from '@osier/contracts/subjects';

/**
 * The nats-server configuration of an installation, as text, from who there is. Accounts isolate; permissions inside one account do not:
 *
 *   SERVICES                  the streams, the services and the api
 *   CREDENTIAL_<domain>_<id>  one per credential of a domain: may publish its own intents, sees its domain's outcomes and flows
 *   NODE_<name>               one per node: may fetch and acknowledge on its two consumers, and publish what it alone may say
 *
 * A credential has an account to itself, not only a domain: within one account anyone could name a colleague's intent subject as the reply
 * subject of a request, and the server would publish its answer there in the colleague's name.
 */
export interface AccountsInput {
  /** `host:port` */
  readonly listen: string;
  /** Where JetStream keeps its files. */
  readonly storeDir: string;
  readonly services: readonly Login[];
  readonly domains: readonly DomainAccess[];
  readonly nodes: readonly NodeAccess[];
  /** `host:port` of nats-server's monitoring pages; absent: none. */
  readonly monitor?: string;
  readonly serverName?: string;
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
  readonly limits?: Partial<typeof serverLimits>;
}
export interface Login { readonly user: string; readonly password: string }
export interface DomainAccess { readonly name: string; readonly credentials: readonly { readonly id: string; readonly password: string }[] }
export interface NodeAccess { readonly name: string; readonly password: string }

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

/** The user names under which credentials and nodes log in. */
export const domainUser = (domain: string, credential: string): string => `${domain}.${credential}`;
export const nodeUser = (node: string): string => `node.${node}`;
/** The consumers on STATE that topology makes for a node, and the only ones that the node may fetch from. */
export const nodeConsumers = (node: string): { readonly state: string; readonly join: string } => ({ state: `node-${node}`, join: `join-${node}` });
/** Credentials of this prefix are the services' own. */
export const reservedCredentialPrefix = 'osier-';

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const token = /^[A-Za-z0-9_-]{1,128}$/;
function must(pattern: RegExp, what: string, value: string): string {
  if (!pattern.test(value)) throw new Error(`cannot write a NATS configuration: ${what} ${JSON.stringify(value.slice(0, 80))} has characters that it may not have`);
  return value;
}
function unique(what: string, names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`cannot write a NATS configuration: ${what} ${JSON.stringify(twice)} is given twice`);
}

/** Pure. Throws where a name could not stand in a subject, or is given twice. */
export function natsConfiguration(input: AccountsInput): string {
  check(input);
  const limits = { ...serverLimits, ...input.limits };
  const accounts = [
    servicesAccount(input.services),
    ...input.domains.flatMap((d) => d.credentials.map((c) => credentialAccount(d.name, c, limits))),
    ...input.nodes.map((n) => nodeAccount(n, limits)),
  ];
  return [
    '# Generated: do not edit. Who may say what on the bus of this installation.',
    `listen: ${text(input.listen)}`,
    `server_name: ${text(input.serverName ?? 'osier')}`,
    ...(input.monitor === undefined ? [] : [`http: ${text(input.monitor)}`]),
    ...(input.tls === undefined ? [] : [tlsBlock(input.tls)]),
    `max_payload: ${limits.maxPayload}`,
    `max_connections: ${limits.maxConnections}`,
    `max_pending: ${limits.maxPending}`,
    `jetstream { store_dir: ${text(input.storeDir)}, max_file_store: ${limits.maxFileStore} }`,
    'accounts {',
    ...accounts,
    '}',
    '',
  ].join('\n');
}

function check(input: AccountsInput): void {
  for (const s of input.services) must(token, 'service user', s.user);
  for (const d of input.domains) {
    must(dnsLabel, 'domain', d.name);
    for (const c of d.credentials) {
      must(token, 'credential', c.id);
      if (c.id.startsWith(reservedCredentialPrefix)) throw new Error(`cannot write a NATS configuration: credential ${c.id} begins with ${reservedCredentialPrefix}, which is kept for services`);
    }
    unique(`credential of domain ${d.name}`, d.credentials.map((c) => c.id));
  }
  for (const n of input.nodes) must(dnsLabel, 'node', n.name);
  unique('service user', input.services.map((s) => s.user));
  unique('domain', input.domains.map((d) => d.name));
  unique('node', input.nodes.map((n) => n.name));
}

/** Intents that a tenant may wish: not the services' own, and nothing of the platform itself. */
const tenantIntents = (): readonly IntentDeclaration[] => catalogue.filter((i) => !i.internal && i.level !== 'platform');

interface Import { readonly kind: 'service' | 'stream'; readonly subject: string; readonly to?: string }
const service = (subject: string): Import => ({ kind: 'service', subject });
const stream = (subject: string): Import => ({ kind: 'stream', subject });

function servicesAccount(users: readonly Login[]): string {
  const exports = [
    ...tenantIntents().map((i) => `{ service: ${text(intentPattern(i.noun, i.verb))} }`),
    '{ stream: "osier.outcome.>" }',
    '{ stream: "osier.live.flow.>" }',
    // One request for many messages has many answers.
    '{ service: "$JS.API.CONSUMER.MSG.NEXT.STATE.*", response_type: "stream" }',
    '{ service: "$JS.ACK.STATE.*.>" }',
    '{ service: "osier.receipt.*" }',
    '{ service: "osier.flow.*.*.*" }',
    '{ service: "osier.observation.*.>" }',
  ];
  return `  SERVICES {
    jetstream: enabled
    users: [${users.map((u) => `\n      { user: ${text(u.user)}, password: ${text(u.password)} }`).join('')}
    ]
    exports: [${exports.map((e) => `\n      ${e}`).join('')}
    ]
  }`;
}

function credentialAccount(domain: string, credential: { id: string; password: string }, limits: typeof serverLimits): string {
  const own = (i: IntentDeclaration): string => ['osier.intent', domain, '*.*', i.noun, i.verb, credential.id].join('.');
  const outcomes = `osier.outcome.${domain}.>`;
  const flows = `osier.flow.${domain}.>`;
  return account({
    name: `CREDENTIAL_${domain}_${credential.id}`,
    user: domainUser(domain, credential.id),
    password: credential.password,
    publish: [`osier.intent.${domain}.*.*.*.*.${credential.id}`],
    subscribe: [outcomes, flows, '_INBOX.>'],
    imports: [...tenantIntents().map((i) => service(own(i))), stream(outcomes), { kind: 'stream', subject: `osier.live.flow.${domain}.>`, to: flows }],
    connections: limits.connectionsPerCredential,
    subscriptions: limits.subscriptionsPerCredential,
  });
}

/** What a node may say to the services' account; all of it names the node itself. */
export function nodeSubjects(node: string): readonly string[] {
  const consumers = Object.values(nodeConsumers(node));
  return [
    ...consumers.map((consumer) => `$JS.API.CONSUMER.MSG.NEXT.STATE.${consumer}`),
    ...consumers.map((consumer) => `$JS.ACK.STATE.${consumer}.>`),
    `osier.receipt.${node}`,
    `osier.flow.*.*.${node}`,
    `osier.observation.${node}.>`,
  ];
}

function nodeAccount(node: NodeAccess, limits: typeof serverLimits): string {
  const subjects = nodeSubjects(node.name);
  return account({
    name: `NODE_${node.name}`,
    user: nodeUser(node.name),
    password: node.password,
    publish: subjects,
    subscribe: ['_INBOX.>'],
    imports: subjects.map(service),
    connections: limits.connectionsPerNode,
    subscriptions: limits.subscriptionsPerNode,
  });
}

interface Account {
  readonly name: string; readonly user: string; readonly password: string;
  readonly publish: readonly string[]; readonly subscribe: readonly string[]; readonly imports: readonly Import[];
  readonly connections: number; readonly subscriptions: number;
}
function account(a: Account): string {
  const subjects = (list: readonly string[]): string => `[${list.map(text).join(', ')}]`;
  return `  ${text(a.name)} {
    limits { max_connections: ${a.connections}, max_subscriptions: ${a.subscriptions} }
    users: [
      { user: ${text(a.user)}, password: ${text(a.password)}
        permissions { publish: ${subjects(a.publish)}, subscribe: ${subjects(a.subscribe)} } }
    ]
    imports: [${a.imports.map((i) => `\n      { ${i.kind}: { account: SERVICES, subject: ${text(i.subject)} }${i.to === undefined ? '' : `, to: ${text(i.to)}`} }`).join('')}
    ]
  }`;
}

const tlsBlock = (tls: { cert: string; key: string; ca?: string }): string =>
  `tls { cert_file: ${text(tls.cert)}, key_file: ${text(tls.key)}${tls.ca === undefined ? '' : `, ca_file: ${text(tls.ca)}`} }`;

/** A quoted string of the configuration language. */
function text(value: string): string {
  if (/[\u0000-\u001f\u007f]/.test(value)) throw new Error('cannot write a NATS configuration: a value has a control character');
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
