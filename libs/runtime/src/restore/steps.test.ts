import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { currentSchema, schemas } from '@osier/store/dump-forward';
import { memoryStore } from '@osier/store/memory';
import type { Store } from '@osier/store/store';
import { silent } from '@osier/telemetry/log';
import { isWhole, standingOf } from './phase.ts';
import { restoreWhileWaiting, restoreWhileWorking } from './steps.ts';

const [archive, other] = ['a'.repeat(64), 'b'.repeat(64)];
const dump = gzipSync(`${JSON.stringify({ table: 'marks', row: { name: 'max-revision', value: '42' } })}\n`);
const sha256 = createHash('sha256').update(dump).digest('hex');
const data = dump.toString('base64');
let folder: string;
let store: Store;
let restarts: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'osier-steps-'));
  store = memoryStore();
  restarts = [];
});
afterEach(() => rmSync(folder, { recursive: true }));
const deps = () => ({ service: 'tenant' as const, store, log: silent, folder, restart: (why: string) => void restarts.push(why) });

describe('a service that works', () => {
  const answer = (request: Parameters<ReturnType<typeof restoreWhileWorking>>[0]) => restoreWhileWorking(deps(), () => true)(request);
  it('begins to be restored when it is empty: it remembers that, and starts anew', async () => {
    expect(await answer({ action: 'look' })).toEqual({ phase: 'none', working: true, ready: true, schemas });
    expect(await answer({ action: 'begin', archive })).toMatchObject({ phase: 'begun', archive, working: false });
    expect([await standingOf(store), restarts]).toEqual([{ phase: 'begun', archive }, ['a restore was begun']]);
  });
  it('refuses where there is something, and names it', async () => {
    await store.transaction((unit) => unit.put({ kind: 'project', id: 'x', name: 'shop', parent: '_', phase: 'active', domain: 'acme', project: 'shop', environment: '_', spec: {}, status: {} } as unknown as Parameters<typeof unit.put>[0], { intentId: 'i', at: 0 }));
    expect(await answer({ action: 'begin', archive })).toMatchObject({ code: 'not-empty', reason: expect.stringContaining('project "shop"') });
    expect([await standingOf(store), restarts]).toEqual([{ phase: 'none' }, []]);
  });
  it('loads nothing', async () => {
    for (const action of ['write', 'load', 'finish'] as const) expect(await answer({ action, archive, data, offset: 0 })).toMatchObject({ code: 'not-begun' });
  });
});

describe('a service that is being restored', () => {
  const begun = async () => {
    const waiting = restoreWhileWaiting(deps());
    await waiting.answer({ action: 'begin', archive });
    return waiting;
  };
  it('loads what it was given when that is all of it, and works again when it is told that it is done', async () => {
    const { answer } = await begun();
    await store.setMark('old', 'x');
    await answer({ action: 'write', archive, offset: 10, data: dump.subarray(10).toString('base64') });
    expect(await answer({ action: 'load', archive, schema: currentSchema, sha256 })).toMatchObject({ code: 'dump-incomplete' });
    await answer({ action: 'write', archive, offset: 0, data: dump.subarray(0, 10).toString('base64') });
    expect(await answer({ action: 'finish', archive })).toMatchObject({ code: 'not-loaded' });
    expect(await answer({ action: 'load', archive, schema: currentSchema, sha256 })).toMatchObject({ phase: 'loaded' });
    expect([await store.mark('max-revision'), await store.mark('old'), restarts, readdirSync(folder)]).toEqual(['42', undefined, [], []]);
    expect(await answer({ action: 'load', archive, schema: currentSchema, sha256 })).toMatchObject({ phase: 'loaded' });
    expect(await answer({ action: 'finish', archive })).toMatchObject({ phase: 'done', archive });
    expect(restarts).toEqual(['a restore is done']);
  });
  it('takes no part of another backup', async () => {
    const { answer } = await begun();
    expect(await answer({ action: 'write', archive: other, offset: 0, data })).toMatchObject({ code: 'another-archive' });
    expect(await answer({ action: 'begin', archive: other })).toMatchObject({ phase: 'begun', archive: other });
  });
  it('keeps what it had when the dump is of a schema that it does not know', async () => {
    const { answer, close } = await begun();
    await answer({ action: 'write', archive, offset: 0, data });
    await expect(answer({ action: 'load', archive, schema: '0099', sha256 })).rejects.toMatchObject({ name: 'UnknownSchema' });
    expect((await standingOf(store)).phase).toBe('begun');
    close();
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('a database', () => {
  it.each([['none', true], ['begun', false], ['loaded', false], ['done', true]] as const)('of which a restore is %s: worked on %s', (phase, whole) => expect(isWhole({ phase })).toBe(whole));
});
