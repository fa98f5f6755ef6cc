// npm start: what a newcomer sees.
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from '@jest/globals';
import { labDown } from '@osier/lab/down';
import { nodeBinary, program, repository } from '@osier/lab/paths';
import { labsOnThisMachine } from '@osier/lab/record';
import { namespacesOf } from '@osier/lab/system/namespaces';

const name = `st${process.pid.toString(36)}`;
afterAll(() => labDown(name), 60_000);

interface Started { child: ChildProcess; output: () => string; ended: Promise<number | null> }
function start(...args: string[]): Started {
  const child = spawn(nodeBinary, [program('lab', 'start'), '--name', name, ...args], { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  return { child, output: () => text, ended: new Promise((resolve) => child.once('close', resolve)) };
}
async function until(what: () => boolean, seconds: number): Promise<boolean> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(100)) if (what()) return true;
  return what();
}
const gone = (): boolean => namespacesOf(name).length === 0 && labsOnThisMachine().every((lab) => lab.name !== name);

describe('npm start', () => {
  it('--once proves every expectation within a minute and leaves nothing', async () => {
    const began = Date.now();
    const run = start('--once');
    expect(`${await run.ended}\n${run.output()}`).toMatch(/^0\n/);
    expect(Date.now() - began).toBeLessThan(60_000);
    expect(run.output()).toContain('inside: 24 of 24 connections went as the policies say (12 allowed, 12 denied)');
    expect(run.output()).toMatch(/across: 32 attempts at the other environment's equal addresses, 0 reached it, 0 arrived/);
    expect(run.output()).toMatch(/denied on node-\d by policy acme\/shop\/staging\/database, rule never-from-the-front \(ingress\), at revision \d+/);
    expect(run.output()).not.toContain('\u001b[');
    expect(gone()).toBe(true);
  }, 90_000);

  it('a second one at the same time says why not and leaves the first alone; Ctrl-C removes everything', async () => {
    const first = start();
    expect(await until(() => first.output().includes('Ctrl-C ends it'), 60)).toBe(true);
    const second = start('--once');
    expect(await second.ended).toBe(1);
    expect(second.output()).toMatch(/is running already: \d+ programs, supervisor \d+, since /);
    expect(namespacesOf(name).length).toBeGreaterThan(0);
    first.child.kill('SIGINT');
    expect(await first.ended).toBe(0);
    expect(gone()).toBe(true);
  }, 90_000);

  it('killed with -9, it leaves nothing either', async () => {
    const run = start();
    expect(await until(() => namespacesOf(name).some((namespace) => namespace.includes('-w-')), 60)).toBe(true);
    run.child.kill('SIGKILL');
    expect(await until(gone, 30)).toBe(true);
  }, 100_000);
});
