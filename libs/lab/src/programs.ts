import { natsConfiguration } from '@osier/bus/accounts';
import { serviceLogin, type Trust, trustOf } from '@osier/bus/authority';
import { serviceNames } from '@osier/bus/grants';
import { credsText } from '@osier/bus/login';
import { findNatsServer } from '@osier/bus/server';
import { writeFileSync } from 'node:fs';
import { writeJson } from './files.ts';
import { nodeNamespace } from './names.ts';
import { type LabPaths, nodeBinary, program, repository } from './paths.ts';
import { agentName, labCredential, type LabRecord, natsNames, routeOf, type Secrets, services } from './record.ts';
import type { ProcessSpec } from './supervisor/spec.ts';
import { join } from 'node:path';
import { namespacesFolder } from './system/namespaces.ts';
import { underlayDevice, underlayMtu } from './underlay.ts';

const secretly = (file: string, text: string): void => writeFileSync(file, text, { mode: 0o600 });

/** Files that only their owner reads: what each program logs in with. Nodes and domains get theirs from the tenant service (credentials.ts). */
export async function writeSecretFiles(paths: LabPaths, record: LabRecord, { authority, operator, token, routes }: Secrets): Promise<void> {
  for (const name of serviceNames) secretly(paths.creds(name), credsText(await serviceLogin(authority, name)));
  writeJson(paths.secret('authority'), authority);
  writeJson(paths.secret('tokens'), { tokens: [{ token, credential: labCredential }] });
  const trust = await trustOf(authority, operator);
  for (const server of natsNames(record.natsServers)) secretly(paths.natsConfig(server), natsConfigOf(server, paths, record, { trust, routes }));
}

function natsConfigOf(server: string, paths: LabPaths, record: LabRecord, { trust, routes }: { trust: Trust; routes: string | undefined }): string {
  return natsConfiguration({
    listen: address(record, server), storeDir: paths.data(server), trust,
    ...(record.natsServers === undefined ? { serverName: `osier-${record.name}` } : {
      serverName: `osier-${record.name}-${server}`,
      cluster: {
        name: `osier-${record.name}`, listen: address(record, routeOf(server)), user: 'route', password: routes ?? '',
        routes: natsNames(record.natsServers).filter((other) => other !== server).map((other) => address(record, routeOf(other))),
      },
    }),
    ...(record.tls ? { tls: { cert: paths.certificate('nats'), key: paths.certificateKey('nats'), ca: paths.certificate('ca') } } : {}),
  });
}

const address = (record: LabRecord, program: string): string => `127.0.0.1:${record.ports[program]}`;
/** Of all servers, separated by commas. */
export const natsUrl = (record: LabRecord): string => natsNames(record.natsServers).map((server) => `${record.tls ? 'tls' : 'nats'}://${address(record, server)}`).join(',');
export const apiUrl = (record: LabRecord): string => `${record.tls ? 'https' : 'http'}://127.0.0.1:${record.ports.api}`;

export function natsSpecs(paths: LabPaths, record: LabRecord): ProcessSpec[] {
  return natsNames(record.natsServers).map((name): ProcessSpec => ({
    name, title: name === 'nats' ? 'message bus' : `message bus, ${name}`, order: 0, argv: [findNatsServer(), '-c', paths.natsConfig(name)], env: {}, log: paths.log(name),
    ready: { kind: 'nats', port: record.ports[name] ?? 0 },
  }));
}

/** What all programs of ours are told. */
const common = (paths: LabPaths, record: LabRecord, name: string): Record<string, string> => ({
  OSIER_NATS_URL: natsUrl(record),
  ...(record.tls ? { OSIER_NATS_TLS_CA: paths.certificate('ca') } : {}),
  OSIER_CREDENTIALS_FILE: paths.creds(name),
  OSIER_DATA_DIR: paths.data(name),
  OSIER_HEALTH_PORT: String(record.ports[name] ?? 0),
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(repository, '.cache/compile'),
});
const health = (record: LabRecord, name: string): ProcessSpec['ready'] => ({ kind: 'http', url: `http://127.0.0.1:${record.ports[name]}/readyz` });

export function controlSpecs(paths: LabPaths, record: LabRecord, env: Readonly<Record<string, string>> = {}): ProcessSpec[] {
  const service = (name: string): ProcessSpec => ({
    name, title: `${name} service`, order: 1, argv: [nodeBinary, program(name)], log: paths.log(name), ready: health(record, name),
    env: { ...common(paths, record, name), OSIER_STREAM_REPLICAS: String(record.natsServers ?? 1), ...(name === 'tenant' ? { OSIER_AUTHORITY_FILE: paths.secret('authority') } : {}), ...env },
  });
  const api: ProcessSpec = {
    name: 'api', title: 'HTTP door', order: 2, argv: [nodeBinary, program('api')], log: paths.log('api'),
    ready: { kind: 'http', url: `${apiUrl(record)}/readyz`, ...(record.tls ? { ca: paths.certificate('ca') } : {}) },
    env: { ...common(paths, record, 'api'), OSIER_TOKENS_FILE: paths.secret('tokens'), OSIER_API_PORT: String(record.ports.api),
      ...(record.tls ? { OSIER_API_TLS_CERT: paths.certificate('api'), OSIER_API_TLS_KEY: paths.certificateKey('api') } : {}), ...env },
  };
  return [...services.map(service), api];
}

export function agentSpecs(paths: LabPaths, record: LabRecord, env: Readonly<Record<string, string>> = {}): ProcessSpec[] {
  return record.nodes.map((node): ProcessSpec => {
    const name = agentName(node.name);
    return {
      name, title: `agent of ${node.name}`, order: 3, argv: [nodeBinary, program('node-agent')], log: paths.log(name), ready: health(record, name),
      env: {
        ...common(paths, record, name),
        OSIER_NODE: node.name,
        OSIER_PIN_DIR: paths.pins(node.name),
        OSIER_NODE_NETNS: join(namespacesFolder, nodeNamespace(record.name, node.name)),
        OSIER_NETNS_DIR: paths.namespaces(node.name),
        OSIER_UNDERLAY_DEVICE: underlayDevice,
        OSIER_UNDERLAY_ADDRESS: node.address,
        OSIER_MTU: String(underlayMtu),
        ...env,
      },
    };
  });
}
