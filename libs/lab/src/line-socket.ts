import { rmSync } from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';

/** Questions and answers over a Unix socket: one JSON document per line, one connection per question. */
export type Answer = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reason: string; readonly fix: string };

export function serveLines(path: string, answer: (question: Record<string, unknown>) => Promise<unknown>): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let text = '';
    socket.on('error', () => socket.destroy());
    socket.setEncoding('utf8').on('data', (part: string) => {
      const before = text;
      text += part;
      if (before.includes('\n') || !text.includes('\n')) return;
      void reply(text.slice(0, text.indexOf('\n')), answer).then((line) => socket.end(`${JSON.stringify(line)}\n`));
    });
  });
  return new Promise((resolve, reject) => server.once('error', reject).listen(path, () => resolve(server)));
}

async function reply(line: string, answer: (question: Record<string, unknown>) => Promise<unknown>): Promise<Answer> {
  try {
    return { ok: true, value: await answer(JSON.parse(line) as Record<string, unknown>) };
  } catch (error) {
    const { message, fix } = error as Error & { fix?: string };
    return { ok: false, reason: message, fix: fix ?? '' };
  }
}

/** Rejects with the other side's reason, or with the socket's error (ENOENT, ECONNREFUSED: nobody is there). */
export function askLine<T>(path: string, question: Readonly<Record<string, unknown>>, timeoutMs = 30_000): Promise<T> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    let text = '';
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(timeoutMs, () => fail(new Error(`no answer within ${timeoutMs / 1000} s on ${path}`)));
    socket.once('error', fail);
    socket.setEncoding('utf8').on('data', (part: string) => (text += part));
    socket.once('end', () => {
      socket.destroy();
      if (text === '') return reject(new Error(`${path} closed without an answer`));
      const answer = JSON.parse(text) as Answer;
      if (answer.ok) resolve(answer.value as T);
      else reject(Object.assign(new Error(answer.reason), { fix: answer.fix }));
    });
    socket.write(`${JSON.stringify(question)}\n`);
  });
}
