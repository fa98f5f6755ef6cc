import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { trace } from '@opentelemetry/api';
import { TracerProvider } from '@opentelemetry/sdk-trace';
import { startTimings } from './trace.ts';

const seen: { name: string; traceId: string; parent: string | undefined; ms: number; failed: boolean }[] = [];
beforeAll(() => {
  const provider = new TracerProvider({ spanProcessors: [{
    onStart: () => undefined, forceFlush: async () => undefined, shutdown: async () => undefined,
    onEnd: (span) => void seen.push({
      name: span.name, traceId: span.spanContext().traceId, parent: span.parentSpanContext?.spanId, failed: span.status.code === 2,
      ms: (span.endTime[0] - span.startTime[0]) * 1000 + (span.endTime[1] - span.startTime[1]) / 1e6,
    }),
  }] });
  trace.setGlobalTracerProvider(provider);
});
afterAll(() => trace.disable());

describe('timings', () => {
  it('are told in the trace of every change that they put into force', () => {
    const clock = [1000, 1010, 1010, 1040, 1040, 1041];
    const timings = startTimings(() => clock.shift() ?? 0);
    expect(timings.run('compile', () => 7)).toBe(7);
    timings.run('kernelWrite', () => undefined);
    timings.run('readBack', () => undefined);
    const [one, two] = ['1'.repeat(32), '2'.repeat(32)];
    timings.tell([`00-${one}-${'a'.repeat(16)}-01`, `00-${two}-${'b'.repeat(16)}-01`], { node: 'node-1', revision: 5 });
    expect(seen.map((s) => [s.traceId, s.parent, s.name, Math.round(s.ms)])).toEqual([
      [one, 'a'.repeat(16), 'compile', 10], [one, 'a'.repeat(16), 'kernel write', 30], [one, 'a'.repeat(16), 'read back', 1],
      [two, 'b'.repeat(16), 'compile', 10], [two, 'b'.repeat(16), 'kernel write', 30], [two, 'b'.repeat(16), 'read back', 1],
    ]);
  });

  it('tell a phase that failed as failed', () => {
    seen.length = 0;
    const timings = startTimings(() => 1);
    expect(() => timings.run('kernelWrite', () => { throw new Error('full'); })).toThrow('full');
    timings.tell([`00-${'3'.repeat(32)}-${'c'.repeat(16)}-01`], { node: 'node-1', revision: 5 });
    expect(seen.map((s) => [s.name, s.failed])).toEqual([['kernel write', true]]);
  });
});
