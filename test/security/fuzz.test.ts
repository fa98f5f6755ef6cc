// A seeded fuzzer over intents and over the HTTP door. Each runs as a process of its own, so that a crash, an unhandled rejection and the heap are really its own.
// `npm test` gives it a few thousand inputs; `npm run test:security`, or OSIER_FUZZ=long, more than a hundred thousand, from a seed that it prints.
// Again with the same inputs: node test/security/fuzz/intents.ts --seed N --inputs N
import { describe, expect, it, jest } from '@jest/globals';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Report } from './fuzz/watch.ts';

const long = process.env['OSIER_FUZZ'] === 'long';
const seed = Number(process.env['OSIER_FUZZ_SEED'] ?? (long ? Date.now() % 1_000_000 : 1));
jest.setTimeout(long ? 600_000 : 60_000);

function run(program: string, inputs: number, withSeed = seed, ...more: string[]): Promise<Report> {
  const file = fileURLToPath(new URL(`./fuzz/${program}.ts`, import.meta.url));
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--no-warnings', '--max-old-space-size=512', file, '--seed', String(withSeed), '--inputs', String(inputs), ...more], { timeout: long ? 580_000 : 55_000, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error !== null) return reject(new Error(`${program} with seed ${withSeed} did not get to its end: ${error.message}\n${stderr.slice(0, 2_000)}`));
      resolve(JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Report);
    });
  });
}
const figures = (what: string, r: Report): void => {
  const mb = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  process.stdout.write(`    ${what}: ${r.inputs.toLocaleString('en')} inputs of seed ${r.seed} in ${r.seconds.toFixed(1)} s; ${JSON.stringify(r.answers)}; heap ${mb(r.heap.early)} → ${mb(r.heap.end)} MB\n`);
};
/** Bytes by which the heap may differ between two collections. */
const slack = 12 * 2 ** 20;

describe('hostile input', () => {
  it.each([
    ['intents', long ? 80_000 : 1_500],
    ['http', long ? 24_000 : 400],
  ])('%s: no crash, no 5xx, one outcome each, nothing of the inside told, no growth', async (program, inputs) => {
    const report = await run(program, inputs);
    figures(program, report);
    expect(report.findings).toEqual([]);
    expect(report.inputs).toBe(inputs);
    expect(Object.keys(report.answers)).toEqual(expect.arrayContaining(program === 'intents' ? ['accepted', 'refused'] : ['200', '400', '401', '404', '422']));
    expect(report.heap.end - report.heap.early).toBeLessThan(slack);
  });
  it('could be red: it finds that one outcome of fifty is lost', async () => {
    expect((await run('intents', 500, 1, '--weak')).findings.join('\n')).toMatch(/^0 outcomes/m);
  });
});
