import { open } from 'node:fs/promises';
import type { Problem } from '@osier/contracts/problem';
import { failureOf } from '../client.ts';
import { exitCodes, type ExitCode, Failure } from '../failure.ts';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import { inSteps } from '../progress.ts';
import { type CommonOptions, type Session, sessionOf } from '../session.ts';
import { verified } from './backup.ts';

interface Restored { readonly restored: string; readonly revision: number; readonly ahead?: readonly string[] }
type Line = { readonly step: string; readonly name?: string; readonly count?: number } | Restored | { readonly problem: Problem };

export async function restore(io: Io, file: string, options: CommonOptions): Promise<ExitCode> {
  const session = sessionOf(io, options);
  const archive = await verified(file);
  let id = '';
  let done: Restored | undefined;
  await inSteps(io, session.format, [
    { title: 'sending the backup', work: async (step) => {
      id = await send(session, file, archive.bytes, (percent) => step.say(`${percent} %`));
    } },
    { title: 'restoring', work: async (step) => {
      done = await carriedOut(session, id, (text) => step.say(text));
    } },
  ]);
  const { restored, revision, ahead = [] } = done as unknown as Restored;
  await print(io, session.format, { file, digest: restored, revision, madeAt: archive.manifest.madeAt, ahead }, [{ file, digest: restored, revision, ahead }], () => [
    `restored: revision ${revision}, as of ${archive.manifest.madeAt}`, `sha256 ${restored}`,
    'Who may ask is as it was in the backup: credentials that were issued here since are gone, those of agents too.',
    session.connection.lab === undefined ? '  fix: put the secrets of the old installation in place, or issue credentials for the agents anew (osier credentials issue NAME --node NODE)' : '  fix: osier lab credentials',
    ...(ahead.length === 0 ? [] : [`These nodes have confirmed a later revision, and enforce nothing older: ${ahead.join(', ')}.`, '  fix: on each, stop the agent, run it once with --cleanup, and start it again']),
  ].join('\n'));
  return exitCodes.ok;
}

async function send({ client }: Session, file: string, size: number, say: (percent: number) => void): Promise<string> {
  const opened = await client.call('POST', '/v1/restores');
  if (opened.status !== 201) throw failureOf(opened, client.server);
  const { restore: id, pieceBytes } = opened.body as { restore: string; pieceBytes: number };
  const handle = await open(file);
  try {
    for (let offset = 0; offset < size; ) {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(pieceBytes), 0, pieceBytes, offset);
      const reply = await client.call('PUT', `/v1/restores/${id}/${offset}`, { raw: buffer.subarray(0, bytesRead), timeoutMs: 60_000 });
      if (reply.status !== 200) throw failureOf(reply, client.server);
      offset += bytesRead;
      say(Math.floor((offset / size) * 100));
    }
    return id;
  } catch (error) {
    await client.call('DELETE', `/v1/restores/${id}`).catch(() => undefined);
    throw error;
  } finally {
    await handle.close();
  }
}

async function carriedOut({ client }: Session, id: string, say: (text: string) => void): Promise<Restored> {
  for await (const line of client.lines(`/v1/restores/${id}/start`, 'POST') as AsyncGenerator<Line>) {
    if ('problem' in line) throw new Failure(exitCodes.refused, line.problem.code, line.problem.reason, line.problem.fix, line.problem.path);
    if ('restored' in line) return line;
    if ('step' in line) say([line.step, line.name, line.count].filter((part) => part !== undefined).join(' '));
  }
  throw new Failure(exitCodes.unreachable, 'interrupted', 'the connection was lost while the installation was being restored', 'It may go on by itself. Run the same command again: it says whether it is done, or does the rest.');
}
