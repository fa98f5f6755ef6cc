import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { BusUnavailable, ConsumerMissing } from '../bus.ts';
import { type Api, JetStreamRefused } from './api.ts';
import { consumersOf } from './consumers.ts';

/** A server of a cluster, of which one consumer has no leader, by its answers. */
let led: boolean;
let streamLed: boolean;
let now: number;
const asked: { subject: string; body: unknown }[] = [];
const api: Api = async <T>(subject: string, body?: unknown): Promise<T> => {
  asked.push({ subject, body });
  if (subject.startsWith('CONSUMER.INFO') && led) return { name: 'c', config: {}, ack_floor: { stream_seq: 41 }, delivered: { stream_seq: 50 }, num_pending: 0, num_ack_pending: 0 } as T;
  if (subject.startsWith('STREAM.MSG.DELETE') && streamLed) throw new JetStreamRefused({ code: 500, err_code: 10057, description: 'no message found' }, subject);
  if (subject.startsWith('CONSUMER.CREATE')) return { num_pending: 0 } as T;
  throw new BusUnavailable(`${subject}: nobody leads it`);
};
const created = () => asked.filter(({ subject }) => subject.startsWith('CONSUMER.CREATE')).map(({ body }) => (body as { config: object }).config);
const ensure = () => consumers.ensure('c', { stream: 'INTENTS' }, false);
let consumers: ReturnType<typeof consumersOf>;

beforeEach(() => {
  [led, streamLed, now] = [true, true, 1_000_000];
  asked.length = 0;
  jest.spyOn(Date, 'now').mockImplementation(() => now);
  consumers = consumersOf(api);
});
afterEach(() => void jest.restoreAllMocks());

describe('a consumer that nobody leads', () => {
  it('is waited for as long as an election takes, and then made anew from what was acknowledged', async () => {
    await ensure();
    led = false;
    asked.length = 0;
    for (let second = 0; second < 20; second++, now += 1_000) await expect(ensure()).rejects.toBeInstanceOf(BusUnavailable);
    expect(created()).toEqual([]);
    await ensure();
    expect(asked.map(({ subject }) => subject)).toContain('CONSUMER.DELETE.INTENTS.c');
    expect(created()).toEqual([expect.objectContaining({ deliver_policy: 'by_start_sequence', opt_start_seq: 42 })]);
  });
  it('is made anew from its beginning where it is not known what was acknowledged', async () => {
    led = false;
    await expect(ensure()).rejects.toBeInstanceOf(BusUnavailable);
    now += 20_000;
    await ensure();
    expect(created()).toEqual([expect.objectContaining({ deliver_policy: 'all' })]);
  });
  it('is left alone while its stream has no leader either', async () => {
    [led, streamLed] = [false, false];
    for (let second = 0; second < 60; second++, now += 1_000) await expect(ensure()).rejects.toBeInstanceOf(BusUnavailable);
    expect(asked.filter(({ subject }) => subject.startsWith('CONSUMER.DELETE'))).toEqual([]);
  });
  it('is not one that is missing', async () => {
    const missing = consumersOf(async () => {
      throw new ConsumerMissing('none');
    });
    expect(await missing.state('INTENTS', 'c')).toBeUndefined();
  });
});
