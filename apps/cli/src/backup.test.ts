import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Manifest } from '@osier/contracts/backup';
import { archiveDigest, writeArchive } from '@osier/runtime/archive';
import { backup, verify } from './commands/backup.ts';
import { restore } from './commands/restore.ts';
import type { Io } from './io.ts';

const content = Buffer.alloc(5_000, 'x');
const manifest: Manifest = {
  format: 1, osier: '0.1.0', madeAt: '2026-01-02T03:04:05.000Z', revision: 42, pauseMs: 350, begins: {},
  parts: [{ type: 'stream', name: 'streams/CHANGES.snapshot', stream: 'CHANGES', bytes: content.length, sha256: createHash('sha256').update(content).digest('hex'), config: {}, firstSequence: 1, lastSequence: 42, messages: 40 }],
};
let archive: Buffer;
let server: Server;
let url: string;
let folder: string;
let asked: string[];
let answer: (method: string, path: string, body: Buffer, response: ServerResponse) => void;

beforeAll(async () => {
  const pieces: Uint8Array[] = [];
  for await (const piece of writeArchive(manifest, async function* () { yield content; })) pieces.push(piece);
  archive = Buffer.concat(pieces);
  server = createServer(async (request, response) => {
    const body: Buffer[] = [];
    for await (const chunk of request) body.push(chunk as Buffer);
    asked.push(`${request.method} ${request.url}`);
    answer(request.method ?? '', request.url ?? '', Buffer.concat(body), response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => {
  server.closeAllConnections();
  server.close(resolve);
}));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'osier-cli-backup-'));
  asked = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const json = (response: ServerResponse, status: number, body: unknown): void => void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const options = () => ({ server: url, output: 'table' as const });
async function run(work: (io: Io) => Promise<number>): Promise<{ code: number; out: string; error: { code: string; message: string; fix: string; exitCode: number } | undefined }> {
  let out = '';
  const io: Io = { env: { OSIER_TOKEN: 'secret' }, stdin: process.stdin, out: (text) => void (out += `${text}\n`), err: () => undefined, interactive: false, signal: new AbortController().signal };
  return work(io).then((code) => ({ code, out, error: undefined }), (error) => ({ code: (error as { exitCode: number }).exitCode, out, error: error as never }));
}
const file = (name = 'a.tar'): string => join(folder, name);

describe('osier backup', () => {
  it('writes a file for its owner only, and says what it is and what is not in it', async () => {
    answer = (_method, _path, _body, response) => void response.writeHead(200, { 'content-type': 'application/x-tar' }).end(archive);
    const { code, out } = await run((io) => backup(io, file(), options()));
    expect([code, asked, readdirSync(folder)]).toEqual([0, ['POST /v1/backups'], ['a.tar']]);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readFileSync(file())).toEqual(archive);
    for (const text of ['revision 42', archiveDigest(manifest), 'held still for 0.3 s', 'not in it: keys, tokens and credentials']) expect(out).toContain(text);
  });
  it.each([
    ['is cut off on its way', (response: ServerResponse) => void response.writeHead(200, { 'content-length': archive.length }).write(archive.subarray(0, 3_000), () => response.destroy()), 3, 'interrupted'],
    ['is not whole', (response: ServerResponse) => void response.writeHead(200).end(archive.subarray(0, archive.length - 1_536)), 1, 'archive-truncated'],
    ['is refused', (response: ServerResponse) => json(response, 503, { problem: { code: 'service-unavailable', reason: 'The ipam service does not answer.', path: '', fix: 'Start it.' } }), 3, 'service-unavailable'],
  ])('leaves no file of what %s', async (_what, how, exit, problem) => {
    answer = (_method, _path, _body, response) => how(response);
    const { code, error } = await run((io) => backup(io, file(), options()));
    expect([code, error?.code, readdirSync(folder)]).toEqual([exit, problem, []]);
    expect(error?.fix).toBeTruthy();
  });
  it('never writes over a file', async () => {
    writeFileSync(file(), 'precious');
    const { code } = await run((io) => backup(io, file(), options()));
    expect([code, asked, readFileSync(file(), 'utf8')]).toEqual([2, [], 'precious']);
  });
  it('is verified without asking anybody', async () => {
    writeFileSync(file(), archive);
    expect(await run((io) => verify(io, file(), { output: 'table' }))).toMatchObject({ code: 0, out: expect.stringContaining('is whole') });
    writeFileSync(file(), archive.subarray(0, 4_000));
    expect(await run((io) => verify(io, file(), { output: 'table' }))).toMatchObject({ code: 1, error: { code: 'archive-truncated', message: expect.stringContaining(file()) } });
    expect(await run((io) => verify(io, file('none'), { output: 'table' }))).toMatchObject({ code: 2 });
    expect(asked).toEqual([]);
  });
});

describe('osier restore', () => {
  const serving = (lines: readonly object[], got: Buffer[] = []) => {
    answer = (method, path, body, response) => {
      if (path === '/v1/restores') return json(response, 201, { restore: 'r1', pieceBytes: 3_000 });
      if (method === 'PUT') {
        got.push(body);
        expect(path).toBe(`/v1/restores/r1/${got.slice(0, -1).reduce((sum, one) => sum + one.length, 0)}`);
        return json(response, 200, { received: 0 });
      }
      response.writeHead(200, { 'content-type': 'application/x-ndjson' }).end(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    };
    return got;
  };
  beforeEach(() => writeFileSync(file(), archive));

  it('sends the archive in pieces, and says what it was restored to, and which nodes will not follow', async () => {
    const got = serving([{ step: 'begun' }, { restored: archiveDigest(manifest), revision: 42, ahead: ['node-2'] }]);
    const { code, out } = await run((io) => restore(io, file(), options()));
    expect([code, Buffer.concat(got).equals(archive), asked.at(-1)]).toEqual([0, true, 'POST /v1/restores/r1/start']);
    expect(out).toMatch(/restored: revision 42[\s\S]*node-2[\s\S]*--cleanup/);
  });
  it('says what went wrong, and what to do', async () => {
    serving([{ step: 'begun' }, { problem: { code: 'stream-differs', reason: 'CHANGES differs.', path: '', fix: 'Run it again.' } }]);
    expect(await run((io) => restore(io, file(), options()))).toMatchObject({ code: 1, error: { code: 'stream-differs', fix: 'Run it again.' } });
    serving([{ step: 'begun' }]);
    expect(await run((io) => restore(io, file(), options()))).toMatchObject({ code: 3, error: { code: 'interrupted', fix: expect.stringContaining('same command again') } });
  });
  it('sends nothing of an archive that is not whole', async () => {
    writeFileSync(file(), archive.subarray(0, 4_000));
    expect(await run((io) => restore(io, file(), options()))).toMatchObject({ code: 1, error: { code: 'archive-truncated' } });
    expect([asked, existsSync(file())]).toEqual([[], true]);
  });
});
