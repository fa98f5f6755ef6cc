import { spawn } from 'node:child_process';
import { LabError } from '../names.ts';

export interface Ran { readonly code: number; readonly stdout: string; readonly stderr: string }

/** Runs a program to its end. Never through a shell. */
export function tryRun(command: string, args: readonly string[], input?: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'ENOENT' ? new LabError(`there is no program "${command}" on this machine`, 'Install it, or run `npm start` once: it installs what is needed.') : error));
    child.once('close', (code) => resolve({ code: code ?? 1, stdout, stderr }));
    child.stdin?.on('error', () => undefined).end(input);
  });
}

export async function run(command: string, args: readonly string[], input?: string): Promise<string> {
  const ran = await tryRun(command, args, input);
  if (ran.code === 0) return ran.stdout;
  throw new Error(`${[command, ...args].join(' ')}: ${ran.stderr.trim() || `ended with code ${ran.code}`}`);
}
