import { mkdtempSync, rmSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLock } from '../lock.ts';
import { labPaths, type LabPaths } from '../paths.ts';
import { end, identityOf, isAlive, self } from '../system/processes.ts';
import { memberVariable, membersOf } from '../system/members.ts';
import { startDetached } from './child.ts';
import { living, type ProcessSpec, readState, removeSpec, writeSpec } from './spec.ts';
import { supervise, type Supervision } from './supervise.ts';

let base: string;
let paths: LabPaths;
let supervision: Supervision;
const spec = (name: string, argv: readonly string[]): ProcessSpec => ({ name, title: name, argv, env: { [memberVariable]: paths.dir }, log: paths.log(name), order: 0, ready: { kind: 'running' } });

beforeEach(() => {
  base = mkdtempSync(`${tmpdir()}/osier-lab-`);
  paths = labPaths('t', base);
  for (const folder of [paths.dir, paths.logs, paths.processes, paths.pids, paths.run]) mkdirSync(folder, { recursive: true });
  supervision = supervise(paths, () => undefined, 50);
});
afterEach(async () => {
  supervision.stop();
  await end(membersOf(paths.dir), 0);
  rmSync(base, { recursive: true, force: true });
});

async function eventually<T>(what: () => T | undefined | false): Promise<T> {
  for (const until = Date.now() + 5_000; Date.now() < until; await sleep(20)) {
    const found = what();
    if (found) return found;
  }
  throw new Error('it did not happen within 5 s');
}

describe('the supervisor', () => {
  it('starts what is wished, and starts it again after kill -9', async () => {
    writeSpec(paths, spec('a', ['sleep', '60']));
    await supervision.sync();
    const first = readState(paths, 'a');
    expect(first && isAlive(first)).toBe(true);
    process.kill(first?.pid ?? 0, 'SIGKILL');
    const second = await eventually(() => { const state = readState(paths, 'a'); return state && state.pid !== first?.pid && isAlive(state) && state; });
    expect(second.restarts).toBe(1);
  });

  it('pauses longer each time for what ends at once', async () => {
    writeSpec(paths, spec('a', ['false']));
    await supervision.sync();
    await sleep(1_600);
    // Pauses of 500 and 1000 ms: two or three starts, not eighty.
    expect(supervision.status()[0]?.restarts).toBeGreaterThanOrEqual(1);
    expect(supervision.status()[0]?.restarts).toBeLessThanOrEqual(3);
  });

  it('takes over what its predecessor left running, and ends what is no longer wished', async () => {
    writeSpec(paths, spec('a', ['sleep', '60']));
    await supervision.sync();
    const before = readState(paths, 'a');
    supervision.stop();
    supervision = supervise(paths, () => undefined, 50);
    await supervision.sync();
    expect(readState(paths, 'a')?.pid).toBe(before?.pid);
    removeSpec(paths, 'a');
    await supervision.sync();
    expect(before && isAlive(before)).toBe(false);
  });

  it('leaves ended what it is told to hold, until it is released', async () => {
    writeSpec(paths, spec('a', ['sleep', '60']));
    await supervision.sync();
    await supervision.hold(['a'], 'SIGKILL');
    await sleep(300);
    expect(living(paths)).toEqual([]);
    await supervision.release(['a']);
    await eventually(() => living(paths).length === 1);
    await expect(supervision.hold(['b'], 'SIGKILL')).rejects.toThrow('no program "b"');
  });
});

describe('processes', () => {
  it('are found by their environment when nobody wrote down their pid', async () => {
    const identity = startDetached({ argv: ['sleep', '60'], env: { [memberVariable]: paths.dir }, log: '/dev/null' });
    await eventually(() => membersOf(paths.dir).some((member) => member.pid === identity.pid));
    await end([identity], 0);
    expect(identityOf(identity.pid)).toBeUndefined();
  });
  it('are not taken for a later one with the same pid', () => {
    expect(isAlive({ ...self(), startTime: '1' })).toBe(false);
  });
});

describe('the lock of a lab', () => {
  it('keeps a second one out while the first is alive, and names it', async () => {
    const other = startDetached({ argv: ['sleep', '60'], env: { [memberVariable]: paths.dir }, log: '/dev/null' });
    const { writeFileSync } = await import('node:fs');
    writeFileSync(`${paths.dir}.lock`, JSON.stringify({ ...other, doing: 'starting it', since: 'noon' }));
    await expect(withLock(paths.dir, 'ending it', async () => 1)).rejects.toThrow(`process ${other.pid} is starting it since noon`);
    await end([other], 0);
    await expect(withLock(paths.dir, 'ending it', async () => 1)).resolves.toBe(1);
  });
  it('lets its own holder in again', async () => {
    await expect(withLock(paths.dir, 'a', () => withLock(paths.dir, 'b', async () => 2))).resolves.toBe(2);
  });
});
