import { addressText, type Block, parseAddress, parseBlock } from '../net/address.ts';
import type { Condition, TagSelector } from '../rules/model.ts';
import { type PortRange, protocols } from './ports.ts';

/** Whom one entry of an assertion means. */
export interface Who {
  readonly type: 'parties' | 'block' | 'outside';
  readonly scopes?: readonly string[];
  readonly scopeTags: TagSelector;
  readonly tags: TagSelector;
  readonly names?: readonly string[];
  readonly block?: Block;
  /** Where it stands, and as it was written. */
  readonly field: string;
  readonly text: string;
}
export type Expectation = 'allow' | 'deny' | 'onlyFrom' | 'onlyTo';
export interface Assertion {
  readonly name: string;
  readonly field: string;
  readonly expect: Expectation;
  /** Of onlyFrom and onlyTo, whom alone. */
  readonly from: readonly Who[];
  readonly to: readonly Who[];
  /** Undefined: every port. */
  readonly ports: readonly PortRange[] | undefined;
  readonly otherPorts: 'denied' | 'ignored';
  readonly mayBeEmpty: boolean;
}
export interface AssertionProblem { readonly path: string; readonly reason: string; readonly fix: string }
/** What the selectors are called where the objects come from. */
export type Words = 'kubernetes' | 'osier';

const words = {
  kubernetes: { scope: 'namespace', tags: 'labels', scopeTags: 'namespaceLabels', name: 'pod', of: 'Kubernetes manifests' },
  osier: { scope: 'environment', tags: 'tags', scopeTags: undefined, name: 'endpoint', of: 'Osier documents' },
} as const;
const assertionFields = ['name', 'from', 'to', 'ports', 'expect', 'onlyFrom', 'onlyTo', 'otherPorts', 'mayBeEmpty'];

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const shown = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 63);

/** Reads and checks the whole of an assertion file; nothing is taken from one with problems. */
export function readAssertions(value: unknown, as: Words): { assertions: Assertion[]; problems: AssertionProblem[] } {
  const reader = new Reader(as);
  const assertions = reader.file(value);
  return { assertions, problems: reader.problems };
}

class Reader {
  readonly problems: AssertionProblem[] = [];
  private readonly as: Words;
  constructor(as: Words) {
    this.as = as;
  }

  private wrong(path: string, reason: string, fix: string): undefined {
    this.problems.push({ path, reason, fix });
  }

  file(value: unknown): Assertion[] {
    const skeleton = 'Write assertions: and under it a list of - name: … to: {…} expect: deny';
    if (!isObject(value)) return (this.wrong('', 'is not an object.', skeleton), []);
    for (const key of Object.keys(value)) if (key !== 'assertions') this.wrong(key, 'is not a field of an assertion file.', 'The only field is assertions.');
    const list = value['assertions'];
    if (!Array.isArray(list) || list.length === 0) return (this.wrong('assertions', list === undefined ? 'is required.' : 'is not a list with at least one assertion.', skeleton), []);
    const read = list.flatMap((one, i) => this.assertion(one, `assertions[${i}]`) ?? []);
    read.forEach(({ name, field }, i) => {
      const other = read.findIndex((before) => before.name === name);
      if (other < i) this.wrong(`${field}.name`, `${shown(name)} is the name of ${read[other]?.field} too.`, 'Give each assertion its own name.');
    });
    return read;
  }

  private assertion(value: unknown, field: string): Assertion | undefined {
    if (!isObject(value)) return this.wrong(field, 'is not an object.', `Fields: ${assertionFields.join(', ')}.`);
    for (const key of Object.keys(value)) if (!assertionFields.includes(key)) this.wrong(`${field}.${key.slice(0, 63)}`, 'is not a field of an assertion.', `Fields: ${assertionFields.join(', ')}.`);
    const { name, expect: wish, mayBeEmpty = false, otherPorts = 'denied' } = value;
    if (typeof name !== 'string' || name.trim() === '') this.wrong(`${field}.name`, name === undefined ? 'is required.' : 'is not a text.', 'Say in a few words what holds: production db only from api.');
    if (typeof mayBeEmpty !== 'boolean') this.wrong(`${field}.mayBeEmpty`, `${shown(mayBeEmpty)} is neither true nor false.`, 'Write mayBeEmpty: true, or leave it out.');
    const asked = (['expect', 'onlyFrom', 'onlyTo'] as const).filter((key) => value[key] !== undefined);
    const [way] = asked;
    if (way === undefined || asked.length > 1) return this.wrong(asked[1] === undefined ? field : `${field}.${asked[1]}`, asked.length > 1 ? `stands beside ${asked[0]}: an assertion has one of them.` : 'says nothing that could hold or not.', 'Write one of expect: deny, expect: allow, onlyFrom: {…}, onlyTo: {…}.');
    if (way === 'expect' && wish !== 'allow' && wish !== 'deny') this.wrong(`${field}.expect`, `${shown(wish)} cannot be expected.`, 'Write allow or deny.');
    const sides = { from: way === 'onlyFrom' ? 'onlyFrom' : 'from', to: way === 'onlyTo' ? 'onlyTo' : 'to' };
    for (const [side, key] of Object.entries(sides)) if (key !== side && value[side] !== undefined) this.wrong(`${field}.${side}`, `stands beside ${key}.`, `Remove it: ${key} is about everybody on that side.`);
    const from = this.who(value[sides.from], `${field}.${sides.from}`, way === 'onlyFrom');
    const to = this.who(value[sides.to], `${field}.${sides.to}`, way === 'onlyTo');
    const ports = value['ports'] === undefined ? undefined : this.ports(value['ports'], `${field}.ports`);
    if (wish === 'allow' && ports === undefined && value['ports'] === undefined) this.wrong(`${field}.ports`, 'is required with expect: allow.', 'Say which: ports: [TCP/5432].');
    if (otherPorts !== 'denied' && otherPorts !== 'ignored') this.wrong(`${field}.otherPorts`, `${shown(otherPorts)} cannot be done with other ports.`, 'Write denied or ignored.');
    if (value['otherPorts'] !== undefined && (way === 'expect' || value['ports'] === undefined)) this.wrong(`${field}.otherPorts`, 'means something only with onlyFrom or onlyTo, and ports.', 'Remove it.');
    const expect: Expectation = way !== 'expect' ? way : wish === 'allow' ? 'allow' : 'deny';
    return { name: String(name), field, expect, from, to, ports, otherPorts: otherPorts === 'ignored' ? 'ignored' : 'denied', mayBeEmpty: mayBeEmpty === true };
  }

  private who(value: unknown, field: string, mayBeNobody: boolean): Who[] {
    if (value === undefined) return (this.wrong(field, 'is required.', `Write ${field.split('.').at(-1)}: {} for everybody here, or select: ${this.fields().map((name) => `${name}: …`).join(', ')}.`), []);
    if (!Array.isArray(value)) return this.one(value, field) ?? [];
    if (value.length === 0 && !mayBeNobody) this.wrong(field, 'is an empty list, which is nobody.', 'Write {} for everybody here, or at least one entry.');
    return value.flatMap((one, i) => this.one(one, `${field}[${i}]`) ?? []);
  }

  private fields(): string[] {
    const { scope, tags, scopeTags, name } = words[this.as];
    return [scope, tags, ...(scopeTags === undefined ? [] : [scopeTags]), name, 'ip', ...(this.as === 'osier' ? [] : ['outside'])];
  }

  private one(value: unknown, field: string): Who[] | undefined {
    const fields = this.fields();
    if (!isObject(value)) return this.wrong(field, `${shown(value)} does not say whom.`, `Write an object with ${fields.join(', ')}; {} is everybody here.`);
    const before = this.problems.length;
    for (const key of Object.keys(value)) if (!fields.includes(key)) this.wrong(`${field}.${key.slice(0, 63)}`, `is not a field of a selector for ${words[this.as].of}.`, `Fields: ${fields.join(', ')}.`);
    const { scope, tags, scopeTags, name } = words[this.as];
    const alone = (['ip', 'outside'] as const).find((key) => value[key] !== undefined);
    if (alone !== undefined && Object.keys(value).length > 1) this.wrong(`${field}.${alone}`, 'stands alone.', 'Make two entries of a list of it: [{ip: …}, {…}].');
    const base = { scopeTags: [], tags: [], field, text: textOf(value) };
    const block = value['ip'] === undefined ? undefined : this.block(value['ip'], `${field}.ip`);
    if (value['outside'] !== undefined && value['outside'] !== true) this.wrong(`${field}.outside`, 'is not true.', 'Write outside: true for every address that is no pod and no node, or leave it out.');
    const scopes = this.texts(value[scope], `${field}.${scope}`);
    const names = this.texts(value[name], `${field}.${name}`);
    const selector = this.selector(value[tags], `${field}.${tags}`);
    const ofScope = scopeTags === undefined ? [] : this.selector(value[scopeTags], `${field}.${scopeTags}`);
    if (this.problems.length > before) return undefined;
    if (block !== undefined) return [{ ...base, type: 'block', block }];
    if (value['outside'] === true) return [{ ...base, type: 'outside' }];
    return [{ ...base, type: 'parties', scopeTags: ofScope, tags: selector, ...(scopes === undefined ? {} : { scopes }), ...(names === undefined ? {} : { names }) }];
  }

  private block(value: unknown, field: string): Block | undefined {
    const address = typeof value === 'string' ? parseAddress(value) : undefined;
    if (address !== undefined) return { ...address, length: address.family === 4 ? 32 : 128 };
    const parsed = typeof value === 'string' ? parseBlock(value) : undefined;
    if (parsed === undefined) return this.wrong(field, `${shown(value)} is not an address.`, 'Write 203.0.113.7, 2001:db8::7, or a block: 10.0.0.0/8.');
    return parsed.oddity === undefined ? parsed.block : this.wrong(field, `${shown(value)} is spelled oddly (${parsed.oddity}).`, `Write ${addressText(parsed.block)}/${parsed.block.length}.`);
  }

  private texts(value: unknown, field: string): string[] | undefined {
    if (value === undefined) return undefined;
    const list: unknown[] = Array.isArray(value) ? value : [value];
    if (list.length === 0 || !list.every((one) => typeof one === 'string' && one !== '')) return this.wrong(field, `${shown(value)} is not a name.`, 'Write a name or a list of names; numbers, true and false in quotes.');
    return list as string[];
  }

  private selector(value: unknown, field: string): TagSelector {
    if (value === undefined) return [];
    if (!isObject(value)) return (this.wrong(field, `${shown(value)} is not an object.`, 'Write {app: db}, or {app: [db, cache]} for either.'), []);
    return Object.entries(value).flatMap(([key, of]): Condition[] => {
      const list: unknown[] = Array.isArray(of) ? of : [of];
      if (list.length === 0 || !list.every((one) => typeof one === 'string')) return (this.wrong(`${field}.${key}`, `${shown(of)} is not a text.`, 'Write a text or a list of texts; numbers, true and false in quotes.'), []);
      return [{ key, operator: 'In', values: list as string[] }];
    });
  }

  private ports(value: unknown, field: string): PortRange[] {
    if (!Array.isArray(value) || value.length === 0) return (this.wrong(field, 'is not a list with at least one port.', 'Write ports: [TCP/5432], or leave it out for every port.'), []);
    return value.flatMap((one, i): PortRange[] => {
      const match = typeof one === 'string' ? /^([A-Z]+)(?:\/(\d{1,5})(?:-(\d{1,5}))?)?$/.exec(one) : null;
      const [, protocol = '', low, high] = match ?? [];
      const first = low === undefined ? 1 : Number(low);
      const last = low === undefined ? 65_535 : Number(high ?? low);
      const fix = `Write PROTOCOL/PORT, PROTOCOL/FIRST-LAST or PROTOCOL, with ${protocols.join(', ')}: TCP/5432, UDP/8000-8080, ICMP.`;
      if (!protocols.includes(protocol)) return (this.wrong(`${field}[${i}]`, `${shown(one)} is not a port.`, fix), []);
      if (protocol === 'ICMP') return low === undefined ? [{ protocol, first: 0, last }] : (this.wrong(`${field}[${i}]`, 'ICMP has no ports.', 'Write ICMP.'), []);
      return first >= 1 && first <= last && last <= 65_535 ? [{ protocol, first, last }] : (this.wrong(`${field}[${i}]`, `${shown(one)} is not from 1 to 65535.`, fix), []);
    });
  }
}

/** As YAML writes it in one line. */
function textOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(textOf).join(', ')}]`;
  if (isObject(value)) return `{${Object.entries(value).map(([key, of]) => `${key}: ${textOf(of)}`).join(', ')}}`;
  return String(value);
}
