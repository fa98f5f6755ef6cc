import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createLog, gathered } from './log.ts';
import { currentTraceparent, formatTraceparent, inSpan, parseTraceparent, traceHeaders } from './trace.ts';

const trace = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${trace}-b7ad6b7169203331-01`;

describe('a traceparent', () => {
  it('is read as it was written', () => expect(formatTraceparent(parseTraceparent(traceparent) as never)).toBe(traceparent));
  it('of a later version is read by what is known of it', () => expect(parseTraceparent(`01-${trace}-b7ad6b7169203331-01-more`)?.traceId).toBe(trace));
  it.each([
    undefined, '', 'x', `ff-${trace}-b7ad6b7169203331-01`, `00-${trace}-b7ad6b7169203331-01-more`, `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-${trace}-${'0'.repeat(16)}-01`, `00-${trace.toUpperCase()}-b7ad6b7169203331-01`,
  ])('that is not valid is none: %s', (text) => expect(parseTraceparent(text)).toBeUndefined());
});

describe('a trace that comes in', () => {
  it('goes on through awaits, into what is sent and what is logged, though nothing is exported here', async () => {
    const lines: string[] = [];
    const log = createLog({ service: 'test', destination: { write: (line) => lines.push(line) } });
    await inSpan('work', { traceparent }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      log.info({ a: 1 }, 'inside');
      expect(traceHeaders().traceparent).toContain(trace);
    });
    log.info({}, 'outside');
    const [inside, outside] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(inside).toMatchObject({ level: 'info', service: 'test', a: 1, msg: 'inside', trace_id: trace });
    expect(outside).not.toHaveProperty('trace_id');
  });

  it('is written with the other lines of the same turn at once, each whole', async () => {
    const written: string[] = [];
    const log = createLog({ service: 'test', destination: gathered({ write: (lines) => written.push(lines) }) });
    log.info({ a: 1 }, 'one');
    log.info({ a: 2 }, 'two');
    await new Promise((resolve) => setImmediate(resolve));
    expect(written.map((lines) => lines.trimEnd().split('\n').map((line) => (JSON.parse(line) as { msg: string }).msg))).toEqual([['one', 'two']]);
  });

  it('is written though the process ends in the same turn', () => {
    const program = `import { createLog } from '${join(import.meta.dirname, 'log.ts')}'; createLog({ service: 'test' }).error({}, 'last words'); process.exit(1);`;
    expect(spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }).stdout).toContain('last words');
  });

  it('does not leak into work beside it', async () => {
    await Promise.all([
      inSpan('traced', { traceparent }, async () => { await new Promise((resolve) => setTimeout(resolve, 2)); }),
      inSpan('untraced', { traceparent: '' }, async () => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        expect(currentTraceparent()).toBeUndefined();
      }),
    ]);
  });

  it('does not swallow what its work throws', async () => {
    await expect(inSpan('work', {}, async () => { throw new Error('no'); })).rejects.toThrow('no');
  });
});
