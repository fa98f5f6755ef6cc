import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { ApiContext } from '../context.ts';
import { services, whileStill } from './hold.ts';

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** Services that hold still, as far as they are told to. */
function still(answers: Partial<Record<string, (action: string) => unknown>> = {}) {
  const asked: string[] = [];
  const context = {
    bus: {
      connected: true,
      request: async (subject: string, data: Uint8Array) => {
        const service = subject.split('.')[2] ?? '';
        const { action } = JSON.parse(new TextDecoder().decode(data)) as { action: string };
        asked.push(`${service} ${action}`);
        return { data: encode(answers[service]?.(action) ?? { ok: true, data: { held: true } }), headers: {} };
      },
    },
  } as unknown as ApiContext;
  return { context, asked };
}
const each = (action: string): string[] => services.map((service) => `${service} ${action}`).sort();
const never = new AbortController().signal;

describe('while all services hold still', () => {
  it('something is done, and they go on', async () => {
    const { context, asked } = still();
    const { result, pauseMs } = await whileStill(context, 'a', never, async () => {
      expect([...asked].sort()).toEqual(each('hold'));
      await sleep(20);
      return 'done';
    });
    expect([result, asked.slice(4).sort()]).toEqual(['done', each('release')]);
    expect(pauseMs).toBeGreaterThanOrEqual(19);
  });
  it.each([
    ['one does not come to rest', { ipam: (action: string) => (action === 'hold' ? { ok: false, problem: { code: 'not-still', reason: 'No.', path: '', fix: 'Wait.' } } : undefined) }, 'not-still'],
    ['one was let go before', { ipam: (action: string) => (action === 'hold' ? { ok: true, data: { held: false } } : undefined) }, 'hold-broken'],
    ['one has gone on meanwhile', { ipam: (action: string) => (action === 'release' ? { ok: true, data: { held: false } } : undefined) }, 'hold-broken'],
  ])('nothing is worth anything when %s; all go on', async (_what, answers, code) => {
    const { context, asked } = still(answers);
    await expect(whileStill(context, 'a', never, async () => 'done')).rejects.toMatchObject({ status: 503, problem: { code } });
    expect([...new Set(asked.filter((line) => line.endsWith('release')))].sort()).toEqual(each('release'));
  });
  it('it is given up when it takes too long, or when nobody wants it any more', async () => {
    const { context, asked } = still();
    await expect(whileStill(context, 'a', never, () => sleep(5_000, undefined, { ref: false }), 50)).rejects.toMatchObject({ problem: { code: 'pause-too-long' } });
    expect(asked.slice(4).sort()).toEqual(each('release'));
    const gone = new AbortController();
    setTimeout(() => gone.abort(), 20);
    await expect(whileStill(still().context, 'a', gone.signal, () => sleep(5_000, undefined, { ref: false }))).rejects.toMatchObject({ problem: { code: 'stopped' } });
  });
});
