// npm start: a whole Osier on this machine, a shop in two environments with equal addresses, and the proof that they are apart.
//
//   lab of three nodes ─► project and environments ─► network and policies ─► workloads, endpoints ─► real packets ─► picture
//
// usage: start.ts [--once] [--name LAB]    --once: end after the picture; exit code 0 only if every expectation held
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { deploy } from '@osier/lab/deploy';
import { draw, failures, plain, type Colour, type Scene } from '@osier/lab/demo/picture';
import { proveAcross, proveDenied, proveInside } from '@osier/lab/demo/prove';
import { expected, shop, shopEnvironments } from '@osier/lab/demo/shop';
import { labDown } from '@osier/lab/down';
import { findWorkload, readInventory } from '@osier/lab/inventory';
import type { Lab } from '@osier/lab/lab';
import { checkLabName, LabError } from '@osier/lab/names';
import { labPaths, repository } from '@osier/lab/paths';
import { place } from '@osier/lab/place';
import { type Progress, progressOn } from '@osier/lab/progress';
import { readRecord } from '@osier/lab/record';
import { isAlive, self } from '@osier/lab/system/processes';
import { labUp } from '@osier/lab/up';
import colours from 'picocolors';

const { values } = parseArgs({ options: { once: { type: 'boolean', default: false }, name: { type: 'string', default: process.env.OSIER_LAB ?? 'osier' } } });
const name = checkLabName(values.name);
const coloured = process.stdout.isTTY && process.env.NO_COLOR === undefined && process.env.TERM !== 'dumb';
const colour: Colour = coloured ? (style, text) => colours[style](text) : plain;
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const steps = progressOn({ write: (text) => process.stdout.write(text), live: coloured, columns: process.stdout.columns, colour });
/** After Ctrl-C the running step ends, and no other begins. */
const progress: Progress = {
  step: (title, work) => {
    stopping.signal.throwIfAborted();
    return steps.step(title, work);
  },
};
const scope = { domain: 'acme', project: 'shop' };
const stopping = new AbortController();

/** What a person would type, done by the same program. */
function osier(...args: string[]): Promise<void> {
  return progress.step(colour('dim', `osier ${args.join(' ')}`), (detail) => new Promise((resolve, reject) => {
    const child = spawn(join(repository, 'osier'), [...args, '--lab', name], { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.once('error', reject);
    child.once('close', (code) => {
      detail(output.trim().split('\n').at(-1) ?? '');
      if (code === 0) resolve();
      else reject(new LabError(`osier ${args.join(' ')} ended with code ${code}:\n${output}`, 'Mend what it says.'));
    });
  }));
}

async function build(): Promise<Lab> {
  const former = readRecord(labPaths(name));
  // A lab of an earlier start that was killed: its owner is gone, and so is whatever it was for.
  if (former?.owner !== undefined && !isAlive(former.owner)) await progress.step('what an earlier, killed start left', async () => void (await labDown(name)));
  const lab = await labUp({ name, nodes: 3, domains: [scope.domain], project: scope.project, owner: self(), progress, signal: stopping.signal });
  await osier('apply', '-f', 'examples/shop/project');
  for (const environment of shopEnvironments) await osier('apply', '-f', 'examples/shop/environment', '--environment', environment, '--wait');
  const nodes = lab.record.nodes.map((node) => node.name);
  await deploy(lab, shopEnvironments.map((environment, turn) => place({ lab: name, ...scope, environment, turn, nodes, workloads: shop, services: [] })), [], progress);
  return lab;
}

async function prove(lab: Lab): Promise<Scene> {
  const inside = await progress.step('real packets: every pair inside each environment', () => proveInside(lab));
  const { across, arrived } = await progress.step('real packets: every pair across the environments', () => proveAcross(lab));
  const inventory = readInventory(lab.paths);
  const wish = { from: findWorkload(inventory, 'staging/web'), to: findWorkload(inventory, 'staging/db'), protocol: 'TCP' as const, port: 5432 };
  const denied = await progress.step('the record of a denied attempt: staging/web → staging/db', () => proveDenied(lab, wish, scope));
  const environments = shopEnvironments.flatMap((environment) => inventory.environments.filter((e) => e.name === environment));
  return { environments, inside, across, arrivedAcross: arrived, expected, denied };
}

function whatToTry(): string {
  const option = name === 'osier' ? '' : ` --name ${name}`;
  const lab = name === 'osier' ? '' : ` --lab ${name}`;
  return [
    '', `  ${colour('bold', 'Try, in another terminal:')}`,
    `    ./osier lab probe${option} staging/web staging/db 5432          one connection, with real packets`,
    `    ./osier flows${lab} --denied --follow                          who was denied, and by which rule`,
    `    ./osier get policies${lab} -e staging -o yaml                  change a rule, then: ./osier apply -f FILE --wait`,
    `    ./osier nodes${lab}                                            what each node has confirmed`,
    `    ./osier lab load${option} -f test/data/online-boutique -e boutique   a larger application; then ./osier lab matrix${option}`,
    '', `  ${colour('dim', 'Ctrl-C ends it and removes everything.')}`, '',
  ].join('\n');
}

async function main(): Promise<number> {
  say(`\n${colour('bold', 'Osier')}: virtual networks for container platforms\n`);
  const scene = await prove(await build());
  say(draw(scene, { columns: process.stdout.columns ?? 110, colour }));
  const failed = failures(scene);
  if (failed.length > 0) say(colour('red', `\n  ${failed.length} expectations did not hold:\n${failed.map((line) => `    ${line}`).join('\n')}`));
  if (values.once) return failed.length === 0 ? 0 : 1;
  say(whatToTry());
  stopping.signal.throwIfAborted();
  await new Promise<void>((resolve) => {
    // Somebody may take the lab down by hand: then there is nothing to wait for.
    const watching = setInterval(() => {
      if (readRecord(labPaths(name)) !== undefined && !stopping.signal.aborted) return;
      clearInterval(watching);
      resolve();
    }, 500);
    stopping.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  if (readRecord(labPaths(name)) === undefined) say(`  lab "${name}" was taken down`);
  return failed.length === 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopping.signal.aborted) return say('  still removing what was started; a moment, please');
    say(`\n  ${signal === 'SIGINT' ? 'Ctrl-C' : signal}: removing everything`);
    stopping.abort(new LabError('stopped', ''));
  });
}
/** A lab that is not ours stays, also when its name was the reason for which we could not start. */
async function removeOurs(): Promise<void> {
  if (readRecord(labPaths(name))?.owner?.pid !== process.pid) return;
  await steps.step('everything removed', async (detail) => {
    const removed = await labDown(name);
    detail(`${removed.processes} processes, ${removed.namespaces} namespaces`);
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  const { message, fix } = error as Error & { fix?: string };
  if (!stopping.signal.aborted) say(`\nosier: ${message}${fix ? `\n  ${fix}` : ''}`);
  process.exitCode = 1;
} finally {
  await removeOurs();
}
if (stopping.signal.aborted) process.exitCode = values.once ? 130 : 0;
