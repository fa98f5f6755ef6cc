import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastLines } from './files.ts';
import { LabError, upCommand } from './names.ts';
import type { LabPaths } from './paths.ts';
import { type ProcessSpec, readState } from './supervisor/spec.ts';
import { isAlive } from './system/processes.ts';
import { fetchTrusting } from './trusting.ts';

/** Restarts within one wait after which a program is taken to be unable to start. */
const triesBeforeGivingUp = 4;

/** Returns when every program says that it is ready. Throws with the last lines of its log when one does not. */
export async function waitReady(paths: LabPaths, specs: readonly ProcessSpec[], o: { timeoutMs: number; signal?: AbortSignal | undefined; onReady?: (spec: ProcessSpec) => void }): Promise<void> {
  const until = Date.now() + o.timeoutMs;
  await Promise.all(specs.map(async (spec) => {
    const before = readState(paths, spec.name)?.restarts ?? 0;
    while (!(await isReady(paths, spec))) {
      o.signal?.throwIfAborted();
      const restarts = (readState(paths, spec.name)?.restarts ?? 0) - before;
      if (Date.now() > until || restarts >= triesBeforeGivingUp) {
        const what = restarts > 0 ? `ended ${restarts} time(s) instead of getting ready` : `is not ready after ${o.timeoutMs / 1000} s`;
        throw new LabError(`${spec.title} ${what}; the end of ${spec.log}:\n${indent(lastLines(spec.log, 8))}`, `Mend what its log says, then run \`${upCommand(basename(paths.dir))}\` again: it goes on where it stopped.`);
      }
      await sleep(100);
    }
    o.onReady?.(spec);
  }));
}
const indent = (text: string): string => text.split('\n').map((line) => `    ${line}`).join('\n');

export async function isReady(paths: LabPaths, spec: ProcessSpec): Promise<boolean> {
  const state = readState(paths, spec.name);
  if (state === undefined || !isAlive(state)) return false;
  switch (spec.ready.kind) {
    case 'running': return true;
    case 'file': return existsSync(spec.ready.path);
    case 'nats': return greets(spec.ready.port);
    case 'http': return answers(spec.ready);
  }
}

async function answers({ url, ca }: { url: string; ca?: string }): Promise<boolean> {
  try {
    const ask = await fetchTrusting(ca === undefined ? undefined : readFileSync(ca, 'utf8'));
    const response = await ask(url, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

/** A NATS server speaks first. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (ready: boolean): void => {
      socket.destroy();
      resolve(ready);
    };
    socket.setTimeout(1_000, () => done(false));
    socket.once('error', () => done(false));
    socket.once('data', (data) => done(data.toString('latin1').startsWith('INFO')));
  });
}
