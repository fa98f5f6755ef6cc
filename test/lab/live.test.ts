// Long TCP connections under a change that denies them: cut, drained and kept by real kernels, on one node and between two; what is new, and what is another's, is never spared.
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { limits } from '@osier/contracts/limits';
import type { liveOptions } from '@osier/contracts/policy';
import type { FlowLine } from '@osier/lab/client';
import { deploy, waitEnforced } from '@osier/lab/deploy';
import { labDown } from '@osier/lab/down';
import { readInventory } from '@osier/lab/inventory';
import type { AppWorkload } from '@osier/lab/kubernetes/application';
import type { Lab } from '@osier/lab/lab';
import { nodeBinary } from '@osier/lab/paths';
import { place } from '@osier/lab/place';
import { labUp } from '@osier/lab/up';
import { at, reaches, scope } from './shop.ts';

type Option = (typeof liveOptions)[number];
const name = `lc${process.pid.toString(36)}`;
const port = 8080;
const drainSeconds = 2;
const options: readonly Option[] = ['cut', 'drain', 'keep'];
const callers = ['near', 'far'];
/** What a loaded machine may be late. */
const late = 500;
const workload = (app: string, tags: Record<string, string>): AppWorkload => ({ name: app, tags, ports: [{ protocol: 'TCP', port }] });
const path = (app: string): string => `live/${app}`;
let lab: Lab;

/** One connection that says something every 20 ms, and when it was last answered. */
class Talk {
  answered = 0;
  readonly to: string;
  readonly #child: ChildProcess;
  constructor(from: string, to: string) {
    this.to = to;
    const [source, target] = [at(lab, path(from)), at(lab, path(to))];
    const code = `const s = require('node:net').connect({ host: '${target.address}', port: ${port}, noDelay: true });
      s.on('data', () => console.log(Date.now())).on('error', (e) => console.error(e.code)); setInterval(() => s.write('x'), 20);`;
    this.#child = spawn('ip', ['netns', 'exec', source.namespace, nodeBinary, '-e', code], { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#child.stdout?.on('data', (text: Buffer) => (this.answered = Number(text.toString().trim().split('\n').at(-1))));
  }
  /** An answer to something that was said after this. */
  async goesOn(): Promise<boolean> {
    const since = Date.now() + 100;
    for (const until = since + 5_000; this.answered < since && Date.now() < until;) await sleep(20);
    return this.answered >= since;
  }
  end(): void {
    this.#child.kill();
  }
}
const talks: Talk[] = [];
const to = (server: string): Talk[] => talks.filter((talk) => talk.to === server);

const policyOf = (option: Option, open: boolean) => ({
  appliesTo: { matchTags: { server: option } }, priority: 1000, ...(option === 'cut' ? {} : { liveConnections: option }), ...(option === 'drain' ? { drainSeconds } : {}),
  ingress: open ? [{ action: 'Allow' as const, from: [{ endpoints: { matchTags: { role: 'caller' } } }] }] : [],
});
/** When every node has confirmed it. */
async function apply(open: boolean, which: readonly Option[] = options): Promise<number> {
  const outcomes = await Promise.all(which.map((option) => lab.client.apply('policy', scope('live'), `only-${option}`, policyOf(option, open))));
  await waitEnforced(lab, outcomes.flatMap(({ changes }) => changes));
  return Date.now();
}
const told = async (server: string): Promise<FlowLine[]> =>
  (await lab.client.flows({ domain: 'acme', project: 'shop', environment: 'live' })).filter(({ destination, event, verdict, source }) =>
    destination.endpoint?.endsWith(`/${server}`) === true && (event === 'end' || verdict === 'allowed') && event !== 'start' && source.endpoint !== undefined);
/** The flow records of what the callers said to a server, when there are as many, at its own node: near and far are both judged there. */
async function recordsOf(server: string, event: 'end' | 'denied', count: number): Promise<FlowLine[]> {
  for (const until = Date.now() + 10_000; ; await sleep(200)) {
    const found = (await told(server)).filter((line) => line.event === event && line.node === 'node-1' && line.decisions.some(({ policy }) => policy === `acme/shop/live/only-${server}`));
    if (found.length >= count || Date.now() > until) return found;
  }
}

beforeAll(async () => {
  lab = await labUp({ name, nodes: 2, domains: ['acme'], project: 'shop' });
  const here = { lab: name, domain: 'acme', project: 'shop', environment: 'live', turn: 0, services: [] };
  const servers = options.map((option) => workload(option, { server: option }));
  await deploy(lab, [place({ ...here, nodes: ['node-1'], workloads: [...servers, workload('near', { role: 'caller' })] })], options.map((option) => ({ name: `only-${option}`, spec: policyOf(option, true) })));
  const before = readInventory(lab.paths).environments.find((e) => e.name === 'live');
  await deploy(lab, [place({ ...here, nodes: ['node-2'], workloads: [workload('far', { role: 'caller' })], ...(before === undefined ? {} : { before }) })], []);
  for (const from of callers) for (const server of options) talks.push(new Talk(from, server));
}, 120_000);
afterAll(async () => {
  for (const talk of talks) talk.end();
  await labDown(name);
}, 60_000);

describe('connections that a change denies', () => {
  let receipt: number;
  it('are open before', async () => {
    expect(await Promise.all(talks.map((talk) => talk.goesOn()))).toEqual(talks.map(() => true));
  }, 30_000);

  it('are cut by the receipt, go on for a while, or go on', async () => {
    receipt = await apply(false);
    expect(await Promise.all([...to('drain'), ...to('keep')].map((talk) => talk.goesOn()))).toEqual([true, true, true, true]);
    await sleep(drainSeconds * 1_000 + limits.endToldMs);
    for (const talk of to('cut')) expect(talk.answered).toBeLessThan(receipt + late);
    for (const talk of to('drain')) expect(talk.answered).toBeLessThan(receipt + drainSeconds * 1_000 + late);
    expect(await Promise.all(to('keep').map((talk) => talk.goesOn()))).toEqual([true, true]);
  }, 60_000);

  it.each(options)('are denied at once where they are new: %s', async (server) => {
    expect(await Promise.all(callers.map((from) => reaches(lab, path(from), path(server), port)))).toEqual([false, false]);
  }, 30_000);

  it('are told: who ended when, and what is spared by which rule, and until when', async () => {
    const ended = async (server: string) => (await told(server)).filter(({ event, endedBy, node }) => event === 'end' && endedBy === 'policy' && node === 'node-1');
    const [cut, drained] = [await ended('cut'), await ended('drain')];
    expect([cut.length, drained.length]).toEqual([2, 2]);
    for (const line of cut) {
      expect(line.spared).toBeUndefined();
      expect(Date.parse(line.at)).toBeLessThan(receipt + limits.endToldMs);
    }
    const begun = await recordsOf('drain', 'denied', 2);
    expect(begun.map(({ verdict, reason, decisions }) => [verdict, reason, decisions.at(-1)?.rule])).toEqual([['allowed', 'policy_denied', 'default-deny'], ['allowed', 'policy_denied', 'default-deny']]);
    for (const line of begun) expect(Date.parse(line.spared?.until ?? '')).toBe(Date.parse(line.at) + drainSeconds * 1_000);
    for (const line of drained) expect(Date.parse(line.at) - Date.parse(line.spared?.until ?? '')).toBeLessThan(limits.endToldMs);
    const kept = await recordsOf('keep', 'denied', 2);
    expect(kept.map(({ spared }) => spared)).toEqual([{}, {}]);
    expect(await ended('keep')).toEqual([]);
  }, 30_000);

  it('that were kept, allowed again and denied once more are kept, and told anew', async () => {
    await apply(true, ['keep']);
    await apply(false, ['keep']);
    expect(await Promise.all(to('keep').map((talk) => talk.goesOn()))).toEqual([true, true]);
    expect(await recordsOf('keep', 'denied', 4)).toHaveLength(4);
  }, 30_000);

  it('are cut by a border, however they are kept: the endpoint is deleted, and its address another\'s', async () => {
    // Or the server, whose endpoint is another now, might say what it had to say as a connection of its own.
    await waitEnforced(lab, (await lab.client.apply('policy', scope('live'), 'servers-answer', { appliesTo: { matchExpressions: [{ key: 'server', operator: 'Exists' }] }, priority: 1000, egress: [] })).changes);
    expect(await Promise.all(to('keep').map((talk) => talk.goesOn()))).toEqual([true, true]);
    const { document } = (await lab.client.list('endpoint', scope('live'))).find((one) => one.document.name === 'keep') ?? {};
    await waitEnforced(lab, (await lab.client.delete('endpoint', scope('live'), 'keep')).changes);
    const gone = Date.now();
    // The same workload under another name: both ends of each connection are as they were.
    await waitEnforced(lab, (await lab.client.apply('endpoint', scope('live'), 'again', { ...document?.spec, address: document?.status.address })).changes);
    await sleep(3_000);
    for (const talk of to('keep')) expect(talk.answered).toBeLessThan(gone + late);
    for (const talk of to('cut')) expect(talk.answered).toBeLessThan(receipt + late);
  }, 60_000);
});
