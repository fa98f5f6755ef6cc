import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '@osier/bus/server';
import { listen, type Listening } from './listener.ts';
import { openConversation, probeAll, transfer } from './probing.ts';
import { greet, readGreeting } from './protocol.ts';
import { crc32c, decode, encode } from './sctp.ts';

const greeting = { identity: 'staging/web', nonce: randomBytes(16).toString('hex') };
const peers: Record<string, unknown>[] = [];
let [port, port2] = [0, 0];
let listening: Listening;

beforeAll(async () => {
  [port, port2] = [await freePort(), await freePort()];
  listening = await listen({ greeting, ports: [{ protocol: 'TCP', port }, { protocol: 'UDP', port: port2 }], log: (event) => void peers.push(event) });
});
afterAll(() => listening.close());

describe('a listener', () => {
  it('says over TCP and over UDP who it is, and logs its peer', async () => {
    const results = await probeAll([{ address: '127.0.0.1', port, protocol: 'TCP' }, { address: '127.0.0.1', port: port2, protocol: 'UDP' }], 2_000);
    expect(results).toMatchObject([{ result: 'answered', greeting }, { result: 'answered', greeting }]);
    expect(peers).toEqual(expect.arrayContaining([expect.objectContaining({ event: 'peer', protocol: 'TCP', port, nonce: greeting.nonce })]));
  });

  it('keeps a conversation', async () => {
    const conversation = await openConversation({ address: '127.0.0.1', port, protocol: 'TCP' }, 2_000);
    expect(await conversation.say(2_000)).toBeGreaterThan(0);
    expect(await conversation.say(2_000)).toBeGreaterThan(0);
    conversation.close();
    await expect(conversation.say(500)).rejects.toThrow('closed');
  });

  it('counts what a transfer brings, all of it', async () => {
    const result = await transfer({ address: '127.0.0.1', port, protocol: 'TCP' }, { megabitsPerSecond: 80, seconds: 1 });
    expect(result.cutShort).toBeUndefined();
    expect(result.receivedBytes).toBe(result.sentBytes);
    expect(result.sentBytes).toBeGreaterThan(5_000_000);
    expect(result.longestGapMs).toBeGreaterThanOrEqual(0);
  });
});

describe('ports for a while', () => {
  it('are open as long as somebody wants them', async () => {
    const extra = { protocol: 'TCP' as const, port: await freePort() };
    const answer = async () => (await probeAll([{ address: '127.0.0.1', ...extra }], 1_000))[0]?.result;
    expect(await answer()).toBe('refused');
    await Promise.all([listening.add([extra]), listening.add([extra])]);
    listening.drop([extra]);
    expect(await answer()).toBe('answered');
    listening.drop([extra]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await answer()).toBe('refused');
  });
});

describe('SCTP', () => {
  it('has the checksum of RFC 9260', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    const packet = { source: 1, destination: 2, tag: 3, type: 1, value: Buffer.from('abcdefgh') };
    expect(decode(encode(packet))).toEqual(packet);
    const damaged = encode(packet);
    damaged[18] = 0;
    expect(decode(damaged)).toBeUndefined();
  });
  it('an open port says who it is, a closed one aborts', async () => {
    const sctp = { protocol: 'SCTP' as const, port: 3868 };
    await listening.add([sctp]);
    const results = await probeAll([{ address: '127.0.0.1', ...sctp }, { address: '127.0.0.1', ...sctp, port: 3869 }], 1_000);
    expect(results).toMatchObject([{ result: 'answered', greeting }, { result: 'refused' }]);
    listening.drop([sctp]);
  });
});

describe('a probe', () => {
  it('tells refused from silent', async () => {
    const mute = createServer(() => undefined);
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const address = mute.address() as { port: number };
    const closed = await freePort();
    const results = await probeAll([{ address: '127.0.0.1', port: address.port, protocol: 'TCP' }, { address: '127.0.0.1', port: closed, protocol: 'TCP' }], 300);
    expect(results.map((r) => r.result)).toEqual(['silent', 'refused']);
    mute.close();
  }, 20_000);

  it.each(['', 'HTTP/1.1 400\n', 'osier-listener staging/web abc\n', `osier-listener ${'0'.repeat(32)}\n`])('takes %j for no greeting', (line) => {
    expect(readGreeting(line)).toBeUndefined();
  });
  it('reads the greeting that a listener writes', () => {
    expect(readGreeting(greet(greeting))).toEqual(greeting);
  });
});
