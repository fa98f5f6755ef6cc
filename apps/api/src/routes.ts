import { limits } from '@osier/contracts/limits';
import { type Kind, kindNames, kinds, type Level, writableKinds, type WritableKind } from '@osier/contracts/kinds';

/**
 * Every HTTP route, derived from the kinds of the contracts. The controller and the OpenAPI document are both made from this list,
 * so that a new kind gets its routes by being declared.
 */
export type RouteAction =
  | { readonly type: 'apply'; readonly kind: WritableKind }
  | { readonly type: 'delete'; readonly kind: WritableKind }
  | { readonly type: 'list'; readonly kind: Kind }
  | { readonly type: 'get'; readonly kind: Kind }
  | { readonly type: 'logins'; readonly kind: 'credential' | 'platform-credential' }
  | { readonly type: 'intent' | 'outcome' | 'nodes' | 'enforcement' | 'flows' | 'connections' | 'audit' | 'deadLetters' | 'deadLetter' | 'retry' | 'drop' | 'backup' | 'openRestore' | 'sendRestore' | 'startRestore' | 'dropRestore' | 'openapi' | 'healthz' | 'readyz' };
export type ActionType = RouteAction['type'];

export interface Route {
  readonly method: 'get' | 'put' | 'post' | 'delete';
  /** With `{parameter}` in braces, as OpenAPI writes it. */
  readonly path: string;
  /** Unique; names the operation in OpenAPI and the span. */
  readonly operation: string;
  readonly summary: string;
  readonly tag: string;
  readonly action: RouteAction;
  /** Answered without a token. */
  readonly open?: boolean;
  /** Bytes that a body may have, where it is no intent's. */
  readonly bodyBytes?: number;
}

const scopePath: Record<Level, string> = {
  platform: '/v1',
  domain: '/v1/domains/{domain}',
  project: '/v1/domains/{domain}/projects/{project}',
  environment: '/v1/domains/{domain}/projects/{project}/environments/{environment}',
};

/** `routing-domain` → `RoutingDomain` */
const pascal = (name: string): string => name.split('-').map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('');

/** Domains, projects and environments carry their own name in the scope parameters; the rest is `{name}`. */
const selfNamed = (kind: Kind): boolean => kind === 'domain' || kind === 'project' || kind === 'environment';

export const listPath = (kind: Kind): string => `${scopePath[kinds[kind].level]}/${kinds[kind].plural}`;
export const itemPath = (kind: Kind): string => `${listPath(kind)}/{${selfNamed(kind) ? kind : 'name'}}`;

function kindRoutes(kind: Kind): Route[] {
  const { title, plural } = kinds[kind];
  const name = pascal(kind);
  const many = pascal(plural);
  const reading: Route[] = [
    { method: 'get', path: itemPath(kind), operation: `get${name}`, summary: `Read one: ${title.toLowerCase()}`, tag: plural, action: { type: 'get', kind } },
  ];
  if (kind !== 'node') {
    reading.unshift({ method: 'get', path: listPath(kind), operation: `list${many}`, summary: `List: ${plural.replace('-', ' ')}`, tag: plural, action: { type: 'list', kind } });
  }
  const writable = writableKinds.find((k) => k === kind);
  if (writable === undefined) return reading;
  return [
    ...reading,
    { method: 'put', path: itemPath(kind), operation: `apply${name}`, summary: `Make or change: ${title.toLowerCase()}`, tag: plural, action: { type: 'apply', kind: writable } },
    { method: 'delete', path: itemPath(kind), operation: `delete${name}`, summary: `Remove: ${title.toLowerCase()}`, tag: plural, action: { type: 'delete', kind: writable } },
  ];
}

const logins = (kind: 'credential' | 'platform-credential'): Route => ({
  method: 'get', path: `${itemPath(kind)}/logins`, operation: `get${pascal(kind)}Logins`, summary: `What the keys of a ${kinds[kind].title.toLowerCase()} log in with at NATS`, tag: kinds[kind].plural,
  action: { type: 'logins', kind },
});

const deadPath = '/v1/dead-letters/{domain}/{project}/{intentId}';

export const routes: readonly Route[] = [
  ...kindNames.flatMap(kindRoutes),
  logins('credential'), logins('platform-credential'),
  { method: 'get', path: '/v1/nodes', operation: 'listNodes', summary: 'Nodes, and what each has confirmed', tag: 'nodes', action: { type: 'nodes' } },
  {
    method: 'post', path: '/v1/intents/{domain}/{project}/{environment}/{noun}/{verb}', operation: 'publishIntent', tag: 'intents', action: { type: 'intent' },
    summary: 'Publish an intent by its subject',
  },
  { method: 'get', path: '/v1/outcomes/{domain}/{project}/{intentId}', operation: 'getOutcome', summary: 'What became of an intent', tag: 'intents', action: { type: 'outcome' } },
  { method: 'post', path: '/v1/enforcement', operation: 'awaitEnforcement', summary: 'Wait until every node concerned has confirmed changes', tag: 'enforcement', action: { type: 'enforcement' } },
  { method: 'get', path: '/v1/flows', operation: 'readFlows', summary: 'Flow records, one JSON object on a line', tag: 'flows', action: { type: 'flows' } },
  { method: 'get', path: '/v1/connections', operation: 'listConnections', summary: 'Connections that the kernels of the nodes hold now', tag: 'flows', action: { type: 'connections' } },
  { method: 'get', path: '/v1/audit', operation: 'readAudit', summary: 'Who wished what, when, and what became of it', tag: 'audit', action: { type: 'audit' } },
  { method: 'get', path: '/v1/dead-letters', operation: 'listDeadLetters', summary: 'Intents that had to be given up, or that nobody can read', tag: 'dead-letters', action: { type: 'deadLetters' } },
  { method: 'get', path: deadPath, operation: 'getDeadLetter', summary: 'One of them, with all that was published', tag: 'dead-letters', action: { type: 'deadLetter' } },
  { method: 'post', path: `${deadPath}/retry`, operation: 'retryDeadLetter', summary: 'Publish it again under a new id', tag: 'dead-letters', action: { type: 'retry' } },
  { method: 'delete', path: deadPath, operation: 'dropDeadLetter', summary: 'Throw it away', tag: 'dead-letters', action: { type: 'drop' } },
  { method: 'post', path: '/v1/backups', operation: 'makeBackup', summary: 'The whole installation as one archive', tag: 'installation', action: { type: 'backup' } },
  { method: 'post', path: '/v1/restores', operation: 'openRestore', summary: 'Begin to send an archive', tag: 'installation', action: { type: 'openRestore' } },
  {
    method: 'put', path: '/v1/restores/{restore}/{offset}', operation: 'sendRestore', summary: 'Send a piece of an archive', tag: 'installation', action: { type: 'sendRestore' },
    bodyBytes: limits.restoreChunkBytes,
  },
  { method: 'post', path: '/v1/restores/{restore}/start', operation: 'startRestore', summary: 'Restore the archive that was sent', tag: 'installation', action: { type: 'startRestore' } },
  { method: 'delete', path: '/v1/restores/{restore}', operation: 'dropRestore', summary: 'Take back an archive that was sent', tag: 'installation', action: { type: 'dropRestore' } },
  { method: 'get', path: '/openapi.json', operation: 'getOpenapi', summary: 'This interface as an OpenAPI document', tag: 'service', action: { type: 'openapi' }, open: true },
  { method: 'get', path: '/healthz', operation: 'getHealth', summary: 'Whether the process runs', tag: 'service', action: { type: 'healthz' }, open: true },
  { method: 'get', path: '/readyz', operation: 'getReadiness', summary: 'Whether intents can be taken now', tag: 'service', action: { type: 'readyz' }, open: true },
];
