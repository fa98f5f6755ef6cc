import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { type Authority, newAuthority } from '@osier/bus/authority';
import { newUserKey, type UserKey } from '@osier/bus/keys';
import { freePort } from '@osier/bus/server';
import { readJson, writeJson } from './files.ts';
import { labPaths, type LabPaths, labsFolder } from './paths.ts';
import type { ProcessIdentity } from './system/processes.ts';
import { nodeAddress, nodeName } from './underlay.ts';

/** What a lab is, from its first moment on: enough to repair it or to remove it. */
export interface LabRecord {
  readonly name: string;
  readonly createdAt: string;
  /** `starting` until it was ready once. */
  readonly phase: 'starting' | 'up';
  readonly domains: readonly string[];
  readonly project: string;
  readonly nodes: readonly { readonly name: string; readonly address: string }[];
  /** Of a cluster; absent: one server. */
  readonly natsServers?: number;
  /** On the loopback address. */
  readonly ports: Readonly<Record<string, number>>;
  /** Everything speaks TLS, by certificates of the lab's own. */
  readonly tls?: true;
  /** The lab ends with this process. */
  readonly owner?: ProcessIdentity;
}
export interface LabOptions {
  readonly name: string;
  readonly nodes: number;
  readonly domains: readonly string[];
  readonly project: string;
  readonly tls?: boolean;
  /** 1, or 3 that form a cluster and keep every stream three times. Default 1. */
  readonly natsServers?: number;
  readonly owner?: ProcessIdentity;
  /** Sent on to the services and agents, such as OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly env?: Readonly<Record<string, string>>;
}

export const services = ['tenant', 'ipam', 'topology', 'policy'] as const;
/** What the servers of the bus are called: `nats`, or `nats-1` to `nats-3`. */
export const natsNames = (count = 1): readonly string[] => (count === 1 ? ['nats'] : Array.from({ length: count }, (_, index) => `nats-${index + 1}`));
/** Under which name the port stands on which the others of a cluster reach a server. */
export const routeOf = (server: string): string => `${server} route`;
export const agentName = (node: string): string => `agent-${node}`;

export const readRecord = (paths: LabPaths): LabRecord | undefined => readJson<LabRecord>(paths.record);
export const writeRecord = (paths: LabPaths, record: LabRecord): void => writeJson(paths.record, record);

export async function newRecord(o: LabOptions): Promise<LabRecord> {
  const nodes = Array.from({ length: o.nodes }, (_, index) => ({ name: nodeName(index), address: nodeAddress(index) }));
  const ports: Record<string, number> = {};
  const taken = new Set<number>();
  const servers = natsNames(o.natsServers);
  for (const user of [...servers, ...(servers.length > 1 ? servers.map(routeOf) : []), 'api', ...services, ...nodes.map((node) => agentName(node.name))]) {
    let port = await freePort();
    while (taken.has(port)) port = await freePort();
    taken.add(port);
    ports[user] = port;
  }
  return {
    name: o.name, createdAt: new Date().toISOString(), phase: 'starting', domains: o.domains, project: o.project, nodes, ports,
    ...(servers.length > 1 ? { natsServers: servers.length } : {}), ...(o.tls === true ? { tls: true as const } : {}), ...(o.owner === undefined ? {} : { owner: o.owner }),
  };
}

export interface Secrets {
  /** Signs who may speak on the bus; the tenant service's. */
  readonly authority: Authority;
  /** Whom the server trusts. */
  readonly operator: string;
  readonly nodes: Readonly<Record<string, UserKey>>;
  /** One credential of each domain, for programs that speak to the bus themselves. */
  readonly domains: Readonly<Record<string, UserKey>>;
  /** Of the HTTP door, for whoever runs the lab. */
  readonly token: string;
  /** By which the servers of a cluster know each other. */
  readonly routes?: string;
}
export const tenantCredential = 'operator';
/** In whose name the command line of the lab asks. */
export const labCredential = 'platform-lab';

export async function newSecrets(record: LabRecord): Promise<Secrets> {
  const each = (names: readonly string[]): Record<string, UserKey> => Object.fromEntries(names.map((name) => [name, newUserKey()]));
  const { authority, operator } = await newAuthority(`osier-${record.name}`);
  return {
    authority, operator, nodes: each(record.nodes.map((node) => node.name)), domains: each(record.domains), token: randomBytes(32).toString('base64url'),
    ...(record.natsServers === undefined ? {} : { routes: randomBytes(24).toString('base64url') }),
  };
}

export function makeFolders(paths: LabPaths, record: LabRecord): void {
  mkdirSync(labsFolder, { recursive: true, mode: 0o755 });
  for (const folder of [paths.dir, paths.secrets, paths.logs, paths.processes, paths.pids, paths.run, paths.bpf, ...natsNames(record.natsServers).map(paths.data)]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of [...services, ...record.nodes.map((node) => agentName(node.name))]) mkdirSync(paths.data(name), { recursive: true, mode: 0o700 });
}

export const labsOnThisMachine = (): LabRecord[] =>
  (existsSync(labsFolder) ? readdirSync(labsFolder) : []).map((name) => readRecord(labPaths(name))).filter((record) => record !== undefined);
