import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { identityOf, type ProcessIdentity } from '../system/processes.ts';
import type { ProcessSpec } from './spec.ts';

/**
 * Starts a program that outlives its starter: a session of its own, output to its log. In a namespace by `ip netns exec`, which becomes
 * the program, so the pid is the program's. Throws where there is no such program.
 */
export function startDetached(spec: Pick<ProcessSpec, 'argv' | 'env' | 'namespace' | 'log'>, onExit: (how: string) => void = () => undefined): ProcessIdentity {
  const argv = spec.namespace === undefined ? spec.argv : ['ip', 'netns', 'exec', spec.namespace, ...spec.argv];
  const [command = '', ...args] = argv;
  const log = openSync(spec.log, 'a', 0o600);
  try {
    const child = spawn(command, args, { detached: true, stdio: ['ignore', log, log], env: { ...process.env, ...spec.env } });
    child.once('error', (error) => onExit(error.message));
    child.once('exit', (code, signal) => onExit(signal === null ? `ended with code ${code}` : `was ended by ${signal}`));
    child.unref();
    const identity = child.pid === undefined ? undefined : identityOf(child.pid);
    if (identity === undefined) throw new Error(`${command} could not be started`);
    return identity;
  } finally {
    closeSync(log);
  }
}
