import { LabError } from '../names.ts';
import type { LabPaths } from '../paths.ts';
import { end, isAlive, type ProcessIdentity, signal } from '../system/processes.ts';
import { startDetached } from './child.ts';
import { type ProcessSpec, readSpecs, readState, removeState, supervisorName, writeState } from './spec.ts';

/**
 * Keeps the lab's programs running: starts what is wished and not there, again and again with a growing pause, ends what is no longer wished.
 * It holds nothing that is not in files: after its own death the next one finds the programs by pid and start time and goes on with them.
 */
export interface Supervision {
  /** Looks at the wishes now; returns when what could be started is started. */
  sync(): Promise<void>;
  status(): ProcessView[];
  /** Ends a program and leaves it ended until `release`. */
  hold(names: readonly string[], how: NodeJS.Signals): Promise<void>;
  release(names: readonly string[]): Promise<void>;
  /** Stops looking after anything; the programs run on. */
  stop(): void;
}
export interface ProcessView { readonly name: string; readonly title: string; readonly pid?: number; readonly startedAt?: string; readonly restarts: number; readonly held: boolean; readonly log: string }

interface Entry { spec: ProcessSpec; identity?: ProcessIdentity; restarts: number; notBefore: number; pause: number; startedAt: number }

const shortestPause = 250;
const longestPause = 5_000;
/** A program that ran this long has started well: the next pause is the shortest again. */
const goodRun = 20_000;

export function supervise(paths: LabPaths, log: (event: Record<string, unknown>) => void, lookEveryMs = 500): Supervision {
  const entries = new Map<string, Entry>();
  const held = new Set<string>();
  let stopped = false;
  let turn: Promise<void> = Promise.resolve();

  const start = (entry: Entry): void => {
    const { spec } = entry;
    entry.startedAt = Date.now();
    try {
      entry.identity = startDetached(spec, (how) => {
        log({ event: 'ended', process: spec.name, how });
        if (!stopped) void later();
      });
      writeState(paths, spec.name, { ...entry.identity, startedAt: new Date().toISOString(), restarts: entry.restarts });
      log({ event: 'started', process: spec.name, pid: entry.identity.pid, restarts: entry.restarts });
    } catch (error) {
      log({ event: 'not-started', process: spec.name, reason: (error as Error).message });
    }
  };

  /** One program: adopt it, leave it, or start it when its pause is over. */
  const look = (entry: Entry): void => {
    if (entry.identity !== undefined && isAlive(entry.identity)) return;
    if (held.has(entry.spec.name)) return;
    const now = Date.now();
    if (entry.identity !== undefined) {
      delete entry.identity;
      entry.restarts += 1;
      entry.pause = now - entry.startedAt > goodRun ? shortestPause : Math.min(entry.pause * 2, longestPause);
      entry.notBefore = now + entry.pause;
    }
    if (now >= entry.notBefore) start(entry);
    else setTimeout(() => void later(), entry.notBefore - now + 1).unref();
  };

  const lookAround = async (): Promise<void> => {
    if (stopped) return;
    const wished = readSpecs(paths);
    for (const [name, entry] of entries) {
      if (wished.some((spec) => spec.name === name)) continue;
      entries.delete(name);
      if (entry.identity !== undefined) await end([entry.identity], 3_000);
      removeState(paths, name);
    }
    for (const spec of wished) {
      const known = entries.get(spec.name);
      if (known !== undefined) known.spec = spec;
      else entries.set(spec.name, adopt(paths, spec));
    }
    for (const spec of wished) {
      const entry = entries.get(spec.name);
      if (entry !== undefined) look(entry);
    }
  };
  /** One look at a time, in order. */
  const later = (): Promise<void> => (turn = turn.then(lookAround).catch((error: Error) => log({ event: 'problem', reason: error.message })));
  const timer = setInterval(() => void later(), lookEveryMs);

  const known = (names: readonly string[]): Entry[] => names.map((name) => {
    const entry = entries.get(name);
    if (entry === undefined) throw new LabError(`there is no program "${name}" in this lab`, `Choose among: ${[...entries.keys()].join(', ')}.`);
    return entry;
  });
  return {
    sync: later,
    status: () => [...entries.values()].map(({ spec, identity, restarts }) => ({
      name: spec.name, title: spec.title, restarts, held: held.has(spec.name), log: spec.log,
      ...(identity !== undefined && isAlive(identity) ? { pid: identity.pid, startedAt: readState(paths, spec.name)?.startedAt ?? '' } : {}),
    })),
    hold: async (names, how) => {
      const targets = known(names);
      for (const name of names) held.add(name);
      const running = targets.map((entry) => entry.identity).filter((identity) => identity !== undefined);
      for (const identity of running) signal(identity, how);
      await end(running, how === 'SIGKILL' ? 0 : 5_000);
      log({ event: 'held', processes: names, how });
    },
    release: async (names) => {
      for (const entry of known(names)) {
        held.delete(entry.spec.name);
        entry.notBefore = 0;
        if (entry.identity !== undefined && !isAlive(entry.identity)) delete entry.identity;
      }
      await later();
    },
    stop: () => {
      stopped = true;
      clearInterval(timer);
    },
  };
}

function adopt(paths: LabPaths, spec: ProcessSpec): Entry {
  const state = readState(paths, spec.name);
  const entry: Entry = { spec, restarts: state?.restarts ?? 0, notBefore: 0, pause: shortestPause, startedAt: Date.now() };
  if (state !== undefined && state.pid > 0 && isAlive(state)) entry.identity = { pid: state.pid, startTime: state.startTime };
  return entry;
}

/** The supervisor's own entry, by which `lab down` and a second `lab up` find it. */
export const registerSupervisor = (paths: LabPaths, identity: ProcessIdentity): void =>
  writeState(paths, supervisorName, { ...identity, startedAt: new Date().toISOString(), restarts: 0 });
