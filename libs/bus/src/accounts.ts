import type { Trust } from './authority.ts';
import { type ClusterInput, clusterBlock } from './cluster/configuration.ts';
import { serverLimits } from './grants.ts';

/**
 * The nats-server configuration of an installation, as text. It names whom the server trusts; who else there is, the tenant service tells it while it
 * runs (docs/adr/0014-credentials.md).
 */
export interface ServerInput {
  /** `host:port` */
  readonly listen: string;
  /** Where JetStream keeps its files, and the server its accounts. */
  readonly storeDir: string;
  readonly trust: Trust;
  /** `host:port` of nats-server's monitoring pages; absent: none. */
  readonly monitor?: string;
  /** Its own within a cluster. */
  readonly serverName?: string;
  /** Absent: a single server. */
  readonly cluster?: ClusterInput;
  /** PEM files. `verify`: clients too have to show a certificate that `ca` has signed. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string; readonly verify?: boolean };
  readonly limits?: Partial<typeof serverLimits>;
}

/** Pure. */
export function natsConfiguration(input: ServerInput): string {
  const limits = { ...serverLimits, ...input.limits };
  return [
    '# Generated: do not edit. Whom the bus of this installation trusts.',
    `listen: ${text(input.listen)}`,
    `server_name: ${text(input.serverName ?? 'osier')}`,
    ...(input.monitor === undefined ? [] : [`${input.tls === undefined ? 'http' : 'https'}: ${text(input.monitor)}`]),
    ...(input.tls === undefined ? [] : [tlsBlock(input.tls)]),
    ...(input.cluster === undefined ? [] : [clusterBlock(input.cluster, input.serverName, text, input.tls === undefined ? undefined : tlsBlock({ ...input.tls, verify: true }))]),
    `max_payload: ${limits.maxPayload}`,
    `max_connections: ${limits.maxConnections}`,
    `max_pending: ${limits.maxPending}`,
    `jetstream { store_dir: ${text(input.storeDir)}, max_file_store: ${limits.maxFileStore} }`,
    ...trustBlock(input.trust, input.storeDir),
    '',
  ].join('\n');
}

/** `full`: the server keeps every account that it is told, over restarts, and servers of a cluster tell each other. */
function trustBlock({ operator, systemAccount, accounts }: Trust, storeDir: string): string[] {
  return [
    `operator: ${text(operator)}`,
    `system_account: ${text(systemAccount)}`,
    `resolver { type: full, dir: ${text(`${storeDir}/accounts`)}, allow_delete: true, interval: "15s", timeout: "2s" }`,
    'resolver_preload {',
    ...Object.entries(accounts).map(([key, jwt]) => `  ${key}: ${text(jwt)}`),
    '}',
  ];
}

const tlsBlock = (tls: NonNullable<ServerInput['tls']>): string =>
  `tls { cert_file: ${text(tls.cert)}, key_file: ${text(tls.key)}${tls.ca === undefined ? '' : `, ca_file: ${text(tls.ca)}`}${tls.verify === true ? ', verify: true' : ''} }`;

/** A quoted string of the configuration language. */
function text(value: string): string {
  if (/[\u0000-\u001f\u007f]/.test(value)) throw new Error('cannot write a NATS configuration: a value has a control character');
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
