import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { countWord, type Greeting, type ProbeResult, type ProbeTarget, readGreeting, type TransferResult } from './protocol.ts';

const atOnce = 24;

/** Tries every target over a new connection each; answers in the order of the targets. */
export async function probeAll(targets: readonly ProbeTarget[], timeoutMs: number): Promise<ProbeResult[]> {
  const results: ProbeResult[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < targets.length; index = next++) {
      const target = targets[index];
      if (target !== undefined) results[index] = await ways[target.protocol](target, timeoutMs);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, targets.length) }, worker));
  return results;
}

const ways = { TCP: probeTcp, UDP: probeUdp, SCTP: async (target: ProbeTarget, timeoutMs: number) => (await import('./sctp.ts')).probeSctp(target, timeoutMs) };
const unreachable = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EINVAL']);

function probeTcp(target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const started = performance.now();
    const socket = connect({ host: target.address, port: target.port, noDelay: true });
    let connected = false;
    const done = (result: { result: 'answered'; greeting: Greeting } | { result: Exclude<ProbeResult['result'], 'answered'>; detail?: string }): void => {
      clearTimeout(timer);
      if (result.result === 'answered') socket.end();
      else socket.destroy();
      resolve({ ...result, ms: Math.round(performance.now() - started) });
    };
    const timer = setTimeout(() => done({ result: connected ? 'silent' : 'timeout' }), timeoutMs);
    socket.once('connect', () => (connected = true));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? '';
      done({ result: unreachable.has(code) ? 'unreachable' : code === 'ETIMEDOUT' ? 'timeout' : 'refused', detail: code });
    });
    firstLine(socket, (line) => {
      const greeting = readGreeting(line);
      done(greeting === undefined ? { result: 'silent', detail: 'another program answered' } : { result: 'answered', greeting });
    });
  });
}

function firstLine(socket: Socket, then: (line: string) => void): void {
  let text = '';
  const read = (part: Buffer): void => {
    text += part.toString('latin1');
    if (!text.includes('\n') && text.length < 1024) return;
    socket.off('data', read);
    then(text.slice(0, text.indexOf('\n') + 1));
  };
  socket.on('data', read);
}

function probeUdp(target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const started = performance.now();
    const socket = createSocket('udp4');
    const done = (result: ProbeResult): void => {
      clearTimeout(timer);
      socket.close();
      resolve(result);
    };
    const ms = (): number => Math.round(performance.now() - started);
    const timer = setTimeout(() => done({ result: 'timeout', ms: ms() }), timeoutMs);
    socket.once('message', (data) => {
      const greeting = readGreeting(data.toString('latin1'));
      done(greeting === undefined ? { result: 'silent', ms: ms() } : { result: 'answered', greeting, ms: ms() });
    });
    socket.on('error', (error) => done({ result: 'refused', ms: ms(), detail: error.message }));
    socket.connect(target.port, target.address, () => socket.send('who\n'));
  });
}

/** A conversation that stays open: how a test sees that established connections survive. */
export interface Conversation { readonly greeting: Greeting; say(timeoutMs: number): Promise<number>; close(): void }

export function openConversation(target: ProbeTarget, timeoutMs: number): Promise<Conversation> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: target.address, port: target.port, noDelay: true });
    const timer = setTimeout(() => fail(new Error(`no greeting from ${target.address}:${target.port} within ${timeoutMs} ms`)), timeoutMs);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    socket.once('error', fail);
    firstLine(socket, (line) => {
      const greeting = readGreeting(line);
      if (greeting === undefined) return fail(new Error('another program answered'));
      clearTimeout(timer);
      socket.off('error', fail).on('error', () => socket.destroy());
      let count = 0;
      resolve({ greeting, close: () => socket.destroy(), say: (within) => echo(socket, `line ${(count += 1)}\n`, within) });
    });
  });
}

function echo(socket: Socket, line: string, timeoutMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed) return reject(new Error('the connection is closed'));
    const started = performance.now();
    const timer = setTimeout(() => reject(new Error(`no echo within ${timeoutMs} ms`)), timeoutMs);
    firstLine(socket, (back) => {
      clearTimeout(timer);
      if (back === line) resolve(performance.now() - started);
      else reject(new Error(`said ${JSON.stringify(line)}, heard ${JSON.stringify(back)}`));
    });
    socket.write(line);
  });
}

/** Sends at an even pace over one connection; the receiver says what arrived and the longest time in which nothing did. */
export function transfer(target: ProbeTarget, o: { megabitsPerSecond: number; seconds: number }): Promise<TransferResult> {
  return new Promise((resolve) => {
    const everyMs = 5;
    const perSecond = (o.megabitsPerSecond * 1_000_000) / 8;
    const started = performance.now();
    const socket = connect({ host: target.address, port: target.port, noDelay: true, allowHalfOpen: true });
    let [sent, last, ending] = [0, '', false];
    const finish = (more: Partial<TransferResult>): void => {
      clearInterval(pace);
      clearTimeout(limit);
      socket.destroy();
      resolve({ sentBytes: sent, receivedBytes: 0, longestGapMs: -1, seconds: (performance.now() - started) / 1000, ...more });
    };
    const limit = setTimeout(() => finish({ cutShort: 'the receiver did not answer in time' }), o.seconds * 1000 + 15_000);
    socket.once('connect', () => socket.write(countWord));
    socket.on('error', (error) => finish({ cutShort: error.message }));
    socket.on('data', (data: Buffer) => (last += data.toString('latin1')));
    socket.once('end', () => {
      const counted = /^\{.*\}$/m.exec(last)?.[0];
      if (counted === undefined) return finish({ cutShort: 'the receiver closed the connection' });
      const { bytes, longestGapMs } = JSON.parse(counted) as { bytes: number; longestGapMs: number };
      finish({ receivedBytes: bytes, longestGapMs });
    });
    const pace = setInterval(() => {
      const elapsed = (performance.now() - started) / 1000;
      if (elapsed >= o.seconds) {
        if (!ending) socket.end();
        ending = true;
        return;
      }
      // A stalled connection shows as a gap at the receiver, not as memory filling up here.
      if (socket.writableLength > 4 * 1024 * 1024) return;
      const due = Math.min(Math.floor(elapsed * perSecond) - sent, 1024 * 1024);
      if (due <= 0) return;
      sent += due;
      socket.write(Buffer.alloc(due, 0x6f));
    }, everyMs);
  });
}
