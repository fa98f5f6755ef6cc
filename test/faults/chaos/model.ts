// What the intents should have left, worked out by other means than Osier's: from INTENTS in its order, first of each id in a service, with the outcomes' word on what was accepted.
import { concludedBy, conclusionOf } from './publishers.ts';
import type { Message } from './raw.ts';

export interface Outcome {
  readonly intentId: string; readonly result: 'accepted' | 'refused'; readonly revision?: number; readonly problem?: { readonly code: string };
  readonly changes?: readonly { readonly kind: string; readonly id: string; readonly version: number; readonly subject: string; readonly revision: number }[];
}
export interface Entity { readonly spec: unknown; readonly version: number }
type Json = Readonly<Record<string, unknown>>;

/** Text that is the same for what means the same. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, v]) => v !== undefined).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, v]) => `${JSON.stringify(key)}:${canonical(v)}`).join()}}`;
}

/** What the contracts add to a body that leaves it out. */
function filled(noun: string, spec: Json): Json {
  if (noun === 'policy') {
    const rules = (list: unknown): unknown => (list as readonly Json[] | undefined)?.map((rule) => ({ action: 'Allow', ...rule }));
    return { priority: 1000, ...spec, ingress: rules(spec.ingress), egress: rules(spec.egress) };
  }
  if (noun !== 'endpoint') return spec;
  return { tags: {}, ...spec, attachment: { interface: 'eth0', ...(spec.attachment as Json) } };
}

const range = (cidr: string): [number, number] => {
  const [address = '', length = '32'] = cidr.split('/');
  const first = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return [first, first + 2 ** (32 - Number(length)) - 1];
};
const overlap = (a: string, b: string): boolean => {
  const [[a1, a2], [b1, b2]] = [range(a), range(b)];
  return a1 <= b2 && b1 <= a2;
};

/** Environments whose contents may go with them: what is left there depends on who heard first, and is checked in another way. */
export interface ModelOptions { readonly aside: ReadonlySet<string>; readonly bad: (message: Message, id: string) => string | undefined }
export interface Replayed { readonly entities: ReadonlyMap<string, Entity>; readonly wrong: readonly string[]; readonly intents: number; readonly judged: number; readonly repeats: number }

export function replay(intents: readonly Message[], outcomes: readonly Message[], o: ModelOptions): Replayed {
  const concluded = new Map(outcomes.map((message) => [concludedBy(message), JSON.parse(message.text) as Outcome]));
  const entities = new Map<string, Entity>();
  const seen = new Set<string>();
  const wrong: string[] = [];
  let [judged, repeats] = [0, 0];
  for (const message of intents) {
    const [, , domain = '', project = '', environment = '', noun = '', verb = ''] = message.subject.split('.');
    if (noun === 'lease') continue;
    const id = message.headers['ce-id'] ?? `seq-${message.sequence}`;
    const conclusion = conclusionOf({ subject: message.subject, id });
    if (seen.has(conclusion)) {
      repeats += 1;
      continue;
    }
    seen.add(conclusion);
    const outcome = concluded.get(conclusion);
    if (outcome === undefined) continue;
    const found = outcome.result === 'accepted' ? 'accepted' : (outcome.problem?.code ?? '');
    const bad = o.bad(message, id);
    const expect = (expected: string): void => {
      judged += 1;
      if (found !== expected) wrong.push(`${id} ${noun}.${verb} at ${message.sequence} in ${domain}/${project}/${environment}: ${found}, should be ${expected}: ${message.text.slice(0, 200)}`);
    };
    if (bad !== undefined) {
      expect(bad);
      continue;
    }
    const body = JSON.parse(message.text) as { name: string; expectedVersion?: number; spec?: Json };
    const key = `${noun} ${domain}/${project}/${environment}/${body.name}`;
    const current = entities.get(key);
    const aside = o.aside.has(environment) || (noun === 'environment' && o.aside.has(body.name));
    if (!aside) {
      const should = judge({ noun, verb, key, body, current, entities });
      if (should !== undefined && !(found === 'in-use' && noun === 'network')) expect(should);
    }
    if (outcome.result !== 'accepted' || aside) continue;
    if (verb === 'delete') entities.delete(key);
    else entities.set(key, next(noun, current, body.spec ?? {}));
  }
  return { entities, wrong, intents: seen.size, judged, repeats };
}

function next(noun: string, current: Entity | undefined, spec: Json): Entity {
  const wished = filled(noun, spec);
  if (current === undefined) return { spec: wished, version: 1 };
  return canonical(current.spec) === canonical(wished) ? current : { spec: wished, version: current.version + 1 };
}

/** What must become of an intent that is right in itself; undefined where that hangs on when an address came. */
function judge({ noun, verb, key, body, current, entities }: {
  noun: string; verb: string; key: string; body: { expectedVersion?: number; spec?: Json }; current: Entity | undefined; entities: ReadonlyMap<string, Entity>;
}): string | undefined {
  if (noun === 'endpoint') return undefined;
  if (body.expectedVersion !== undefined && body.expectedVersion !== (current?.version ?? 0)) return 'version-conflict';
  if (noun === 'network' && verb === 'apply') {
    const others = [...entities].filter(([other]) => other !== key && other.startsWith(key.slice(0, key.lastIndexOf('/') + 1)));
    const mine = (body.spec?.subnets ?? []) as readonly string[];
    const taken = others.some(([, { spec }]) => (spec as { subnets: readonly string[] }).subnets.some((theirs) => mine.some((subnet) => overlap(subnet, theirs))));
    if (taken) return 'overlapping-subnet';
  }
  return 'accepted';
}
