import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { memoryStore } from '@osier/store/memory';
import { silent } from '@osier/telemetry/log';
import { Dumps } from './dump.ts';
import { Gate } from './gate.ts';
import { Hold } from './hold.ts';

describe('a gate', () => {
  it('lets who is inside finish, and keeps out who comes later until it is open', async () => {
    const gate = new Gate();
    const said: string[] = [];
    let leave = (): void => undefined;
    const first = gate.run(() => new Promise<void>((resolve) => (leave = resolve))).then(() => said.push('first'));
    const closed = gate.close().then(() => said.push('closed'));
    const second = gate.run(async () => void said.push('second'));
    await sleep(5);
    expect(said).toEqual([]);
    leave();
    await Promise.all([first, closed]);
    await sleep(5);
    expect(said).toEqual(['first', 'closed']);
    gate.open();
    await second;
    expect(said).toEqual(['first', 'closed', 'second']);
  });
});

describe('a service that holds still', () => {
  let waiting: number;
  let kicks: number;
  let whole: boolean;
  let hold: Hold;
  beforeEach(() => {
    [waiting, kicks, whole] = [3, 0, true];
    hold = new Hold({ service: 'policy', log: silent, whole: () => whole, drained: async () => waiting === 0, kick: () => void (kicks++, waiting--), leaseMs: 500 });
  });
  afterEach(() => hold.letGo());

  it('says so only when nothing is being decided and all that is committed is published', async () => {
    let decide = (): void => undefined;
    const deciding = hold.deciding.run(() => new Promise<void>((resolve) => (decide = resolve)));
    const held = hold.hold('a');
    await sleep(10);
    expect([waiting, hold.id]).toEqual([3, undefined]);
    decide();
    await deciding;
    expect(await held).toEqual({ held: true });
    expect([waiting, kicks, hold.id]).toEqual([0, 3, 'a']);
    expect(hold.release('a')).toEqual({ held: true });
  });

  it('lets a decision wait for what others say before it closes that too', async () => {
    const learn = new Promise<string>((resolve) => setTimeout(() => void hold.following.run(async () => resolve('learned')), 20));
    const deciding = hold.deciding.run(() => learn);
    expect(await hold.hold('a')).toEqual({ held: true });
    expect(await deciding).toBe('learned');
  });

  it('goes on by itself when nobody speaks of it any more, and that hold is broken for good', async () => {
    expect(await hold.hold('a')).toEqual({ held: true });
    let done = false;
    const work = hold.deciding.run(async () => void (done = true));
    await sleep(250);
    expect(await hold.hold('a')).toEqual({ held: true });
    await sleep(350);
    // Longer than the lease, and renewed in between.
    expect(done).toBe(false);
    await work;
    expect(done).toBe(true);
    expect(await hold.hold('a')).toEqual({ held: false });
    expect(hold.release('a')).toEqual({ held: false });
  });

  it('is held by one backup at a time, and by none while its streams are being mended', async () => {
    await hold.hold('a');
    expect(await hold.hold('b')).toMatchObject({ code: 'backup-running' });
    expect(hold.release('b')).toEqual({ held: false });
    expect(hold.id).toBe('a');
    hold.release('a');
    whole = false;
    expect(await hold.hold('c')).toMatchObject({ code: 'streams-not-whole', fix: expect.stringContaining('osier nodes') });
  });
});

describe('the dump of a service', () => {
  let folder: string;
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'osier-dumps-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is made only while it holds still, is read in pieces, and leaves nothing behind', async () => {
    const store = memoryStore();
    for (let n = 0; n < 2_000; n++) await store.setMark(`mark-${n}`, randomBytes(600).toString('base64'));
    let holding: string | undefined;
    const dumps = new Dumps({ service: 'policy', store, folder, holding: () => holding });
    expect(await dumps.answer({ hold: 'a', action: 'make', offset: 0 })).toMatchObject({ code: 'not-held' });
    holding = 'a';
    const made = await dumps.answer({ hold: 'a', action: 'make', offset: 0 });
    holding = undefined;
    const pieces: Buffer[] = [];
    for (let offset = 0; ; offset += pieces.at(-1)?.length ?? 0) {
      const { data } = (await dumps.answer({ hold: 'a', action: 'read', offset })) as { data: string };
      if (data === '') break;
      pieces.push(Buffer.from(data, 'base64'));
    }
    expect(pieces.length).toBeGreaterThan(1);
    const all = Buffer.concat(pieces);
    expect(made).toMatchObject({ bytes: all.length, rows: { marks: 2_000 } });
    expect(gunzipSync(all).toString().trim().split('\n')).toHaveLength(2_000);
    expect(await dumps.answer({ hold: 'b', action: 'read', offset: 0 })).toMatchObject({ code: 'not-held' });
    await dumps.answer({ hold: 'a', action: 'drop', offset: 0 });
    expect([readdirSync(folder), existsSync(folder)]).toEqual([[], true]);
  });
});
