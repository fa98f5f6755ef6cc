// A run that leaves something behind must fail, so each kind is left behind here on purpose.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { RUN_VARIABLE, lookAround, newSince, processesOf } from './leftovers.ts';

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0).reverse()) step();
});

describe('what a run left behind', () => {
  it('shows a process that carries its mark, and no other', async () => {
    const run = `seed-${process.pid}`;
    const child = spawn('sleep', ['30'], { env: { ...process.env, [RUN_VARIABLE]: run }, stdio: 'ignore' });
    undo.push(() => child.kill('SIGKILL'));
    await new Promise((resolve) => child.once('spawn', resolve));
    expect(processesOf(run)).toEqual([`process ${child.pid}: sleep 30`]);
    expect(processesOf('another')).toEqual([]);
  });

  it('shows a network namespace and a mount that were not there before', () => {
    const before = lookAround();
    const name = `osier-seed-${process.pid}`;
    expect(spawnSync('ip', ['netns', 'add', name]).status).toBe(0);
    undo.push(() => spawnSync('ip', ['netns', 'delete', name]));
    const point = mkdtempSync(join(tmpdir(), 'osier-seed-'));
    undo.push(() => rmSync(point, { recursive: true }));
    expect(spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', point]).status).toBe(0);
    undo.push(() => spawnSync('umount', [point]));
    const found = newSince(before, lookAround());
    expect(found).toEqual(expect.arrayContaining([`network namespace ${name}`, `mount ${point}`]));
    expect(newSince(lookAround(), lookAround())).toEqual([]);
  });
});
