// Hostile intents at the real services, in memory.
// usage: intents.ts [--seed N] [--inputs N] [--weak]   its last line is a Report as JSON
//   --weak: every fiftieth outcome is lost on its way, which must be found
import { type Bus, BusRefused, type Message, NotStored } from '@osier/bus/bus';
import { catalogue, intentDeclaration, intentName } from '@osier/contracts/catalogue';
import { intentIdOf } from '@osier/contracts/envelope';
import { outcomeSchema } from '@osier/contracts/outcome';
import { parseIntentSubject } from '@osier/contracts/subjects';
import { createLog } from '@osier/telemetry/log';
import { memoryStore } from '@osier/store/memory';
import type { Store } from '@osier/store/store';
import type { Platform } from '@osier/testing/platform';
import { startControlPlane } from '../../scenarios/control-plane.ts';
import { damaged, hostileJson, mutated, random, text, value, words } from './random.ts';
import { argument, heapNow, leaks, program, Watch } from './watch.ts';

const seed = argument('seed', 1);
const inputs = argument('inputs', 4_000);
const round = 500;
const r = random(seed);
const watch = new Watch();
/** After so many the platform is made anew: its twins of the streams and the databases keep what the real ones keep on disk. */
const life = 5_000;
let stores: Store[] = [];
const weak = process.argv.includes('--weak');
let outcomes = 0;
const losing = (bus: Bus): Bus => Object.create(bus, {
  publish: { value: (...[to, ...rest]: Parameters<Bus['publish']>) => (to.startsWith('osier.outcome.') && ++outcomes % 50 === 0 ? Promise.resolve({ stream: 'OUTCOMES', sequence: 0, duplicate: false }) : bus.publish(to, ...rest)) },
}) as Bus;
const begin = (): Promise<Platform> => startControlPlane({
  ...(weak ? { wrap: (_name, { bus, store }) => ({ bus: losing(bus), store }) } : {}),
  ...(process.env['FUZZ_LOG'] === undefined ? {} : { log: createLog({ service: 'fuzz', level: 'warn' }) }),
  makeStore: async (_name, now) => {
    const store = memoryStore({ now });
    stores.push(store);
    return store;
  },
});
let platform = await begin();
const encode = (body: unknown): Uint8Array => new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));

interface Input { readonly subject: string; readonly data: Uint8Array; readonly headers: Record<string, string> }

const plain = { domain: 'acme', project: 'shop', environment: 'staging' } as const;
const strange = (): string => r.pick(['_', '*', '>', 'A', 'a/b', 'shop/main', 'ü', '\u0001', '-', 'a'.repeat(300), 'x'.repeat(4_000), '%2A', 'constructor', '__proto__', '_invalid', 'other', 'acme', '$JS', '"', '\ufffd']);
function subject(): string {
  const { noun, verb, level } = r.pick(catalogue);
  const depth = { platform: 0, domain: 1, project: 2, environment: 3 }[level];
  const scope = [plain.domain, plain.project, plain.environment].map((token, i) => (r.chance(0.04) ? strange() : i < depth || r.chance(0.03) ? token : '_'));
  const credential = r.chance(0.9) ? r.pick(['ci', 'admin']) : r.pick(['osier-topology', 'osier-', 'osier-x', strange()]);
  return ['osier.intent', ...scope, noun, r.chance(0.01) ? r.pick(['explode', strange()]) : verb, credential].join('.');
}
const names: Record<string, readonly string[]> = { domain: ['acme', 'other'], project: ['shop', 'other'], environment: ['staging', 'other'], node: ['node-1', 'node-2'] };
function body(noun: string): Uint8Array {
  const { example } = catalogue.find((i) => i.noun === noun && (i.verb === 'apply' || r.chance(0.5))) ?? r.pick(catalogue);
  let made: unknown = structuredClone(example);
  if (r.chance(0.5)) made = { ...(made as object), name: r.pick(names[noun] ?? ['main', 'aux', 'frontend', 'database']) };
  for (let i = r.int(4); i > 0; i--) made = mutated(r, made);
  if (r.chance(0.05)) return encode(hostileJson(r));
  if (r.chance(0.02)) return encode(`{"name":"main","spec":${hostileJson(r)}}`);
  if (r.chance(0.02)) return encode({ name: 'main', spec: { tags: { [r.pick(['x', '\u0001', '"', '漢']).repeat(r.pick([400, 60_000]))]: 'v' }, subnets: [value(r)] } });
  const bytes = encode(made ?? null);
  return r.chance(0.1) ? damaged(r, bytes) : bytes;
}
const ids: string[] = ['same'];
function headers(): Record<string, string> {
  const made: Record<string, string> = {};
  if (r.chance(0.85)) made['ce-id'] = r.chance(0.8) ? `id-${r.int(2 ** 31)}` : r.pick([...ids, 'seq-1', 'seq-', '', ' ', 'a b', 'a.b', 'x'.repeat(129), '*', text(r, 12)]);
  if (r.chance(0.3)) made['traceparent'] = r.pick([`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, `00-${'0'.repeat(32)}-${'0'.repeat(16)}-00`, `ff-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, `01-${'a'.repeat(32)}-${'b'.repeat(16)}-ff-${'x'.repeat(5_000)}`, text(r, 40)]);
  if (r.chance(0.1)) made[r.pick(['Nats-Msg-Id', 'Nats-Rollup', 'Nats-TTL', 'Nats-Expected-Last-Sequence', 'tracestate', 'ce-type', 'ce-specversion', 'content-type', '__proto__', 'constructor'])] = r.pick([...words, text(r, 30)]);
  return made;
}
function input(): Input {
  const to = subject();
  return { subject: to, data: body(to.split('.')[5] ?? ''), headers: headers() };
}

const shown = ({ subject: to, data, headers: h }: Pick<Message, 'subject' | 'data' | 'headers'>): unknown => [to.slice(0, 200), new TextDecoder().decode(data.slice(0, 200)), h];
async function read(stream: string): Promise<Message[]> {
  const found: Message[] = [];
  for await (const message of platform.bus.read({ stream })) found.push(message);
  return found;
}

/** Every stored intent has one outcome, under its own name and of the service that owns it, that says what a person needs. */
async function judge(): Promise<void> {
  const outcomes = new Map<string, Message[]>();
  for (const message of await read('OUTCOMES')) {
    const parsed = outcomeSchema.safeParse(JSON.parse(new TextDecoder().decode(message.data)));
    if (!parsed.success) {
      watch.found('an outcome is not in the contracts', new TextDecoder().decode(message.data.slice(0, 400)));
      continue;
    }
    const [, , domain, project] = message.subject.split('.');
    const key = JSON.stringify([domain, project, parsed.data.intentId, parsed.data.service]);
    outcomes.set(key, [...(outcomes.get(key) ?? []), message]);
    const whole = new TextDecoder().decode(message.data);
    if (leaks(whole)) watch.found('an outcome tells of the inside', whole);
    if (parsed.data.result === 'accepted') watch.count('accepted');
    else {
      watch.count('refused');
      watch.problem(parsed.data.problem, whole.slice(0, 300));
      if (parsed.data.problem.code === 'internal-error') watch.found('internal-error', whole);
    }
  }
  const name = (token: string): string => (/^[A-Za-z0-9_-]{1,63}$/.test(token) ? token : '_invalid');
  const expected = new Set<string>();
  for (const message of await read('INTENTS')) {
    const at = parseIntentSubject(message.subject);
    if (at === undefined) watch.found('stored, and no intent', message.subject);
    else {
      const key = JSON.stringify([name(at.domain), name(at.project), intentIdOf(message.headers['ce-id'], message.sequence), intentDeclaration(intentName(at))?.owner]);
      expected.add(key);
      const count = outcomes.get(key)?.length ?? 0;
      if (count !== 1) watch.found(`${count} outcomes`, shown(message));
    }
  }
  for (const key of outcomes.keys()) if (!expected.has(key)) watch.found('an outcome of nothing', key);
}

async function forget(): Promise<void> {
  for (const stream of ['INTENTS', 'OUTCOMES']) platform.broker.outlive(stream);
  await platform.advance(61 * 24 * 3_600_000);
  for (const store of stores) await store.pruneInbox(platform.clock.now());
}

program(async () => {
  const started = performance.now();
  let early = 0;
  for (let done = 0; done < inputs && watch.findings.length < 20; done += round) {
    for (let i = 0; i < round; i++) {
      const one = input();
      try {
        await platform.bus.publish(one.subject, one.data, { headers: one.headers });
      } catch (error) {
        if (!(error instanceof NotStored || error instanceof BusRefused)) watch.found('publishing failed', [String(error), shown(one)]);
        watch.count('not stored');
      }
    }
    await platform.settle().catch((error: Error) => watch.found('the services do not come to rest', error.message));
    await judge();
    watch.prototypes(done);
    await forget();
    if (done % life === life - round) {
      await platform.close();
      stores = [];
      platform = await begin();
      if (early === 0) early = heapNow();
    }
  }
  await platform.close();
  stores = [];
  platform = await begin();
  const end = heapNow();
  await platform.close();
  return watch.report({ inputs, seed, seconds: (performance.now() - started) / 1000, heap: { early: early || end, end } });
});
