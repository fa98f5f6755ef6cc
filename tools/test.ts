// Runs the suites one after another and sums them up. The last line is exactly `N passed, N failed, N skipped`.
//   node tools/test.ts                 everything `npm test` stands for
//   node tools/test.ts unit lint       only these
//   node tools/test.ts --only faults   a suite with a command of its own; exit 2 when it is not built yet
//   … --quick                          a shorter run, where a suite has one
import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { node, root } from './root.ts';
import { EXTRA, SUITES, type Suite } from './test/suites.ts';
import { RUN_VARIABLE, leftovers, lookAround } from './test/leftovers.ts';

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/** The part of jest's --json result that is counted here. */
interface JestResult {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

const run = `${process.pid}-${Date.now().toString(36)}`;
const folder = mkdtempSync(join(tmpdir(), 'osier-test-'));
const before = lookAround();
let running: number | undefined;

/** Runs a program on the workspace's Node in a process group of its own; false when it failed or ran out of time. */
function program(args: readonly string[], minutes: number): Promise<boolean> {
  return new Promise((resolve) => {
    const env = { ...process.env, ...(process.argv.includes('--quick') ? { OSIER_QUICK: '1' } : {}), [RUN_VARIABLE]: run, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' };
    const child = spawn(node, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], detached: true, env });
    running = child.pid;
    const timer = setTimeout(() => {
      console.log(`    stopped: not finished after ${minutes} minutes`);
      stop('SIGKILL');
    }, minutes * 60_000);
    child.on('close', (code) => {
      clearTimeout(timer);
      running = undefined;
      resolve(code === 0);
    });
    child.on('error', () => resolve(false));
  });
}

function stop(signal: NodeJS.Signals): void {
  if (running === undefined) return;
  try {
    process.kill(-running, signal);
  } catch {
    // it ended by itself
  }
}

async function runJest(suite: Suite): Promise<Count> {
  const output = join(folder, `${suite.name}.json`);
  const ok = await program(
    [
      '--experimental-vm-modules',
      '--no-warnings',
      'node_modules/jest/bin/jest.js',
      `--selectProjects=${suite.name}`,
      suite.workers === 1 ? '--runInBand' : `--maxWorkers=${suite.workers ?? 2}`,
      '--json',
      `--outputFile=${output}`,
      '--reporters=<rootDir>/tools/test/reporter.mjs',
      '--silent=false',
    ],
    suite.minutes,
  );
  try {
    const result = JSON.parse(readFileSync(output, 'utf8')) as JestResult;
    const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
    return {
      passed: result.numPassedTests,
      failed: failed === 0 && !ok ? 1 : failed,
      skipped: result.numPendingTests + result.numTodoTests,
    };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

async function runSuite(suite: Suite): Promise<Count> {
  if (suite.check === undefined) return runJest(suite);
  const ok = await program(suite.check, suite.minutes);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

const hasTests = (suite: Suite): boolean =>
  suite.files === undefined || globSync(suite.files, { cwd: root, exclude: (name) => name === 'node_modules' }).length > 0;

function choose(words: readonly string[]): readonly Suite[] {
  if (words.length === 0) return SUITES;
  return words.map((word) => {
    const suite = [...SUITES, ...EXTRA].find((candidate) => candidate.name === word);
    if (suite === undefined) {
      console.error(`there is no suite "${word}"; there are ${[...SUITES, ...EXTRA].map((candidate) => candidate.name).join(', ')}`);
      process.exit(2);
    }
    return suite;
  });
}

async function checkLeftovers(): Promise<Count> {
  const { left, unjudged } = await leftovers(run, before);
  for (const line of left) console.log(`    left behind: ${line}`);
  for (const line of unjudged) console.log(`    not judged, another Osier is running on this machine: ${line}`);
  return { passed: left.length === 0 ? 1 : 0, failed: left.length === 0 ? 0 : 1, skipped: 0 };
}

async function main(): Promise<void> {
  const words = process.argv.slice(2).filter((word) => !word.startsWith('--'));
  const chosen = choose(words);
  if (process.argv.includes('--only') && !chosen.some(hasTests)) {
    console.error(`${words.join(' ')}: not built yet in ${(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version}`);
    process.exit(2);
  }
  const total: Count = { passed: 0, failed: 0, skipped: 0 };
  const failures: string[] = [];
  const perform = async (name: string, title: string, work: () => Promise<Count>): Promise<void> => {
    console.log(`\n${name}: ${title}`);
    const started = Date.now();
    const count = await work();
    total.passed += count.passed;
    total.failed += count.failed;
    total.skipped += count.skipped;
    if (count.failed > 0) failures.push(`${name} (${count.failed})`);
    console.log(`  ${count.failed > 0 ? 'FAILED' : 'ok'}  ${count.passed} passed, ${count.failed} failed  ${((Date.now() - started) / 1000).toFixed(1)} s`);
  };
  for (const suite of chosen) {
    if (hasTests(suite)) await perform(suite.name, suite.title, () => runSuite(suite));
    else console.log(`\n${suite.name}: no tests yet`);
  }
  const ran = total.passed + total.failed;
  await perform('leftovers', 'no process, namespace or mount is left', () => checkLeftovers());
  if (failures.length > 0) console.log(`\nfailed: ${failures.join(', ')}`);
  process.exitCode = total.failed > 0 || ran === 0 ? 1 : 0;
  console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
}

/** Stopped by a person: end what this run started, say what it could not take away. */
async function interrupted(): Promise<void> {
  stop('SIGTERM');
  const { left } = await leftovers(run, before);
  for (const line of left) {
    const pid = /^process (\d+):/.exec(line)?.[1];
    if (pid === undefined) console.log(`left behind: ${line}`);
    else process.kill(Number(pid), 'SIGKILL');
  }
  rmSync(folder, { recursive: true, force: true });
  process.exit(130);
}

let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!stopping) void interrupted();
    stopping = true;
  });
}
try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
