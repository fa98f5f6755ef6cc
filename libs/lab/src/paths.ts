import { dirname, join } from 'node:path';
import { createHash } from 'node:crypto';

/** The repository: a lab runs the programs of the clone that it was started from. */
export const repository = dirname(dirname(dirname(import.meta.dirname)));
export const nodeBinary = join(repository, 'node_modules/.bin/node');
export const program = (app: string, file = 'main'): string => join(repository, 'apps', app, 'src', `${file}.ts`);

export const labsFolder = '/run/osier';

/** Where everything of one lab is. Nothing of a lab is anywhere else, but for its namespaces and `/etc/netns/osier-<lab>-*`. */
export function labPaths(lab: string, base = labsFolder) {
  const dir = join(base, lab);
  const at = (...parts: string[]): string => join(dir, ...parts);
  return {
    dir,
    record: at('lab.json'),
    client: at('client.json'),
    inventory: at('inventory.json'),
    secrets: at('secrets'),
    natsConfig: (server: string): string => at('secrets', server === 'nats' ? 'nats-server.conf' : `${server}.conf`),
    certificate: (name: string): string => at('secrets', `${name}.pem`),
    certificateKey: (name: string): string => at('secrets', `${name}-key.pem`),
    secret: (name: string): string => at('secrets', `${name}.json`),
    /** What a program logs in with at NATS. */
    creds: (name: string): string => at('secrets', `${name}.creds`),
    data: (name: string): string => at('data', name),
    logs: at('logs'),
    log: (name: string): string => at('logs', `${name}.log`),
    processes: at('processes'),
    pids: at('pids'),
    run: at('run'),
    ready: (name: string): string => at('run', `${name}.ready`),
    supervisorSocket: at('run', 'supervisor.sock'),
    /** A Unix socket's path holds 107 bytes (unix(7)); two names of 63 characters do not fit, so it is a digest of them. */
    workloadSocket: (path: string): string => at('run', `w-${createHash('sha256').update(path).digest('hex').slice(0, 16)}.sock`),
    workloadSpec: (path: string): string => at('run', `w-${createHash('sha256').update(path).digest('hex').slice(0, 16)}.json`),
    /** The namespaces that a node's agent may put endpoints into, as links. */
    namespaces: (node: string): string => at('netns', node),
    bpf: at('bpf'),
    pins: (node: string): string => at('bpf', node),
  };
}
export type LabPaths = ReturnType<typeof labPaths>;
