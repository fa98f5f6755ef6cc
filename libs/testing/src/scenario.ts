import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Scope } from '@osier/contracts/document';
import { type Kind, kinds, type Level } from '@osier/contracts/kinds';
import type { Outcome } from '@osier/contracts/outcome';
import type { Receipt } from '@osier/contracts/telemetry';
import { receiptSubject } from '@osier/contracts/subjects';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { milliseconds } from './clock.ts';
import { type Platform, type PlatformOptions, type PlatformService, startPlatform } from './platform.ts';
import { linesOf, tableOf } from './table.ts';

/** Intents in, tables out. README.md shows one of each step. */
const expectation = z.union([
  z.enum(['accepted', 'unchanged']),
  z.strictObject({ refused: z.string(), path: z.string().optional(), names: z.array(z.string()).optional() }),
]);
const wishOptions = { as: z.string().optional(), id: z.string().optional(), expect: expectation.default('accepted') };
const object = z.string().regex(/^[a-z-]+ [^ ]+$/, 'must be "<kind> <path>", such as "network acme/shop/staging/main"');
const step = z.union([
  z.strictObject({ apply: object, spec: z.record(z.string(), z.unknown()).default({}), expectedVersion: z.int().optional(), ...wishOptions }),
  z.strictObject({ delete: object, expectedVersion: z.int().optional(), ...wishOptions }),
  z.strictObject({ intent: z.string(), body: z.unknown(), headers: z.record(z.string(), z.string()).optional(), ...wishOptions }),
  z.strictObject({ table: z.string(), columns: z.array(z.string()).min(1), rows: z.string() }),
  z.strictObject({ receipt: z.string(), behind: z.int().optional(), pending: z.array(z.string()).optional() }),
  z.strictObject({ advance: z.string() }),
  z.strictObject({ stop: z.string() }),
  z.strictObject({ start: z.string() }),
  z.strictObject({ restart: z.string() }),
]);
const scenario = z.strictObject({ title: z.string(), steps: z.array(step).min(1) });
export type Scenario = z.infer<typeof scenario>;
type Step = z.infer<typeof step>;
type Expectation = z.infer<typeof expectation>;

/** The scenarios of a file: one YAML document each. Throws with the document's number and what is wrong with it. */
export function readScenarios(text: string): Scenario[] {
  return parseAllDocuments(text).map((document, index) => {
    if (document.errors.length > 0) throw new Error(`scenario ${index + 1}: ${document.errors[0]?.message}`);
    const result = scenario.safeParse(document.toJS());
    if (!result.success) throw new Error(`scenario ${index + 1}: ${z.prettifyError(result.error)}`);
    return result.data;
  });
}

/**
 * In which way it is run: as written; with every intent published twice; with every service started anew between any two steps.
 * All must end the same: what comes out depends on what was wished, never on the road taken.
 */
export const manners = ['as written', 'everything twice', 'restarted between steps'] as const;
export type Manner = (typeof manners)[number];

export async function runScenario(text: Scenario, services: readonly PlatformService[], manner: Manner = 'as written', options: PlatformOptions = {}): Promise<void> {
  const platform = await startPlatform(services, options);
  try {
    for (const [index, one] of text.steps.entries()) {
      try {
        if (manner === 'restarted between steps' && index > 0) await restartAll(platform, services, stopped(text.steps.slice(0, index)));
        await runStep(platform, one, `s${index + 1}`, manner);
      } catch (error) {
        throw new Error(`step ${index + 1} (${Object.entries(one)[0]?.join(': ')}): ${(error as Error).message}`, { cause: error });
      }
    }
    await platform.settle();
    if (stopped(text.steps).size === 0) await platform.check();
  } finally {
    await platform.close();
  }
}

function stopped(steps: readonly Step[]): Set<string> {
  const down = new Set<string>();
  for (const one of steps) {
    if ('stop' in one) down.add(one.stop);
    if ('start' in one) down.delete(one.start);
  }
  return down;
}
async function restartAll(platform: Platform, services: readonly PlatformService[], down: ReadonlySet<string>): Promise<void> {
  for (const name of services.map((s) => s.definition.name).filter((n) => !down.has(n))) {
    await platform.stop(name);
    await platform.start(name);
  }
}

const scopeParts: Record<Level, (keyof Scope)[]> = { platform: [], domain: ['domain'], project: ['domain', 'project'], environment: ['domain', 'project', 'environment'] };

/** `network acme/shop/staging/main` → the scope of its intents, and its name. */
export function wished(text: string): { noun: string; scope: Partial<Scope>; name: string } {
  const [noun = '', path = ''] = text.split(' ');
  const level = noun in kinds ? kinds[noun as Kind].level : 'environment';
  const parts = path.split('/');
  const name = parts.pop() ?? '';
  return { noun, name, scope: Object.fromEntries(scopeParts[level].map((part, i) => [part, parts[i]]).filter(([, value]) => value !== undefined)) };
}

async function runStep(platform: Platform, one: Step, id: string, manner: Manner): Promise<void> {
  platform.clock.advance(1_000);
  if ('advance' in one) return platform.advance(milliseconds(one.advance));
  if ('stop' in one) return platform.stop(one.stop);
  if ('start' in one) return platform.start(one.start);
  if ('restart' in one) {
    await platform.stop(one.restart);
    return platform.start(one.restart);
  }
  if ('table' in one) return compareTable(platform, one);
  if ('receipt' in one) return confirm(platform, one);
  const wish = wishOf(one, one.id ?? id);
  const first = await platform.wish(wish);
  judge(first, one.expect);
  if (manner !== 'everything twice' || wish.id === '') return;
  await platform.publish(wish);
  await platform.settle();
}

type WishStep = Extract<Step, { expect: Expectation }>;
function wishOf(one: WishStep, id: string) {
  const as = one.as === undefined ? {} : { credential: one.as };
  if ('intent' in one) {
    const [domain, project, environment, noun = '', verb = ''] = one.intent.split('.');
    return { domain, project, environment, noun, verb, id, body: one.body, ...as, ...(one.headers === undefined ? {} : { headers: one.headers }) } as Parameters<Platform['wish']>[0];
  }
  const version = one.expectedVersion === undefined ? {} : { expectedVersion: one.expectedVersion };
  const verb = 'apply' in one ? 'apply' : 'delete';
  const { noun, scope, name } = wished('apply' in one ? one.apply : one.delete);
  return { ...scope, noun, verb, id, body: { name, ...version, ...('apply' in one ? { spec: one.spec } : {}) }, ...as };
}

function judge(outcome: Outcome, expected: Expectation): void {
  const said = outcome.result === 'refused' ? `refused: ${JSON.stringify(outcome.problem)}` : outcome.changes.length === 0 ? 'unchanged' : 'accepted';
  if (typeof expected === 'string') {
    if (said !== expected) throw new Error(`expected ${expected}, was ${said}`);
    return;
  }
  if (outcome.result !== 'refused') throw new Error(`expected to be refused (${expected.refused}), was ${said}`);
  const { problem } = outcome;
  if (problem.code !== expected.refused) throw new Error(`expected code ${expected.refused}, was ${said}`);
  if (expected.path !== undefined && problem.path !== expected.path) throw new Error(`expected path ${expected.path}, was ${said}`);
  for (const word of expected.names ?? []) if (!`${problem.reason} ${problem.fix}`.includes(word)) throw new Error(`expected "${word}" to be named, was ${said}`);
  if (problem.reason === '' || problem.fix === '') throw new Error(`a refusal needs a reason and a fix, was ${said}`);
}

/** Work that follows an outcome (reactions, released addresses) may take a moment: the table must come true within it. */
async function compareTable(platform: Platform, { table, columns, rows }: Extract<Step, { table: string }>): Promise<void> {
  const [kind = '', path = ''] = table.split(' ');
  const [domain, project, environment] = path.split('/');
  const scope = Object.fromEntries(Object.entries({ domain, project, environment }).filter(([, value]) => value)) as Partial<Scope>;
  const expected = linesOf(rows);
  const until = Date.now() + 3_000;
  for (;;) {
    const documents = (await platform.list(kind as Kind, scope)).map((item) => item.document);
    const found = tableOf(documents, columns);
    if (isDeepStrictEqual(found, expected)) return;
    if (Date.now() > until) throw new Error(`the table is\n    ${found.join('\n    ') || '(empty)'}\n  and should be\n    ${expected.join('\n    ') || '(empty)'}`);
    await sleep(5);
  }
}

/** As the agent of a node would confirm all that there is, or all but the last `behind` revisions. */
async function confirm(platform: Platform, { receipt: node, behind = 0, pending = [] }: Extract<Step, { receipt: string }>): Promise<void> {
  await platform.settle();
  const changes = await platform.bus.stream('CHANGES');
  const receipt: Receipt = {
    node, incarnation: changes?.incarnation ?? '', revision: (changes?.lastSequence ?? 0) - behind, epoch: 1, digest: 'none',
    readBackAt: new Date(platform.clock.now()).toISOString(), endpoints: [],
    pending: pending.map((id) => ({ kind: 'endpoint', id, path: id, code: 'pending', reason: 'as the scenario says' })),
    counts: { addresses: 0, identities: 0, policyEntries: 0, rules: 0 },
  };
  await platform.bus.publish(receiptSubject(node), new TextEncoder().encode(JSON.stringify(receipt)));
}
