/** A generator of numbers that is the same for the same seed on every machine (mulberry32). */
export interface Random {
  /** 0 ≤ x < 1 */
  next(): number;
  int(below: number): number;
  chance(of: number): boolean;
  pick<T>(list: readonly T[]): T;
}

export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number): number => Math.floor(next() * below);
  return { next, int, chance: (of) => next() < of, pick: (list) => list[int(list.length)] as (typeof list)[number] };
}

const alphabet = ['a', 'Z', '0', '-', '_', '.', '/', '\\', '"', "'", ' ', '\t', '\n', '\r', '\0', '\u0001', '\u007f', '\u2028', 'ä', '漢', '😀', '\ud800', '\udfff', '\ufeff', '%', '*', '>', '$', '{', '}', '<', ';', '`'];
export const text = (r: Random, longest: number): string => Array.from({ length: r.int(longest + 1) }, () => r.pick(alphabet)).join('');

/** Names that mean something to JavaScript, to SQL, to paths, to the bus. */
export const words = [
  '__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', 'then', 'length', '__defineGetter__', 'toJSON', 'kind', 'spec', 'name',
  '../../etc/passwd', "' OR 1=1 --", '%00', '%s%n', '_', '*', '>', '$JS.API', '_INBOX.x', 'osier-topology', 'null', 'undefined', 'NaN', '', ' ', '0x10', '1e3',
  'a'.repeat(63), 'a'.repeat(64), 'a'.repeat(129), 'A', '-a', 'a-', 'main', 'shop',
];

const deep = (r: Random, open: string, close: string, middle: string): string => {
  const depth = r.pick([10, 500, 5_000, 100_000]);
  return open.repeat(depth) + middle + close.repeat(depth);
};
/** JSON texts that nothing else makes: what `JSON.stringify` could not, or would not, write. */
export function hostileJson(r: Random): string {
  switch (r.int(8)) {
    case 0: return deep(r, '[', ']', '');
    case 1: return deep(r, '{"a":', '}', '1');
    case 2: return `{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}${r.chance(0.5) ? ',"name":"main"' : ''}}`;
    case 3: return r.pick(['1e999', '-1e999', '1e-999', '9007199254740993', '-0', `${'9'.repeat(5_000)}`, `0.${'1'.repeat(5_000)}`]);
    case 4: return `"${r.pick(['\\ud800', '\\udfff\\ud800', '\\u0000', '\u2028', '\\uFFFF'])}"`;
    case 5: return `{"name":"main","name":"other","spec":${r.pick(['{}', '[]', 'null', '1'])}}`;
    case 6: return `[${'0,'.repeat(r.pick([10, 20_000]))}0]`;
    default: return `{${Array.from({ length: r.pick([3, 3_000]) }, (_, i) => `"${r.pick(words.slice(0, 13))}${i}":${i}`).join(',')}}`;
  }
}

/** A value of any JSON type; small mostly, sometimes very large. */
export function value(r: Random, depth = 0): unknown {
  switch (r.int(depth > 3 ? 8 : 11)) {
    case 0: return null;
    case 1: return r.chance(0.5);
    case 2: return r.pick([0, -1, 1, 65535, 65536, 2 ** 31, -(2 ** 31), 2 ** 53, -(2 ** 53), 2 ** 63, 1e308, -1e308, 0.1, 5e-324]);
    case 3: return text(r, 20);
    case 4: return r.pick(words);
    case 5: return r.pick(['10.0.0.0/24', '0.0.0.0/0', '10.0.0.1/24', '255.255.255.255/32', '300.1.1.1/8', '10.0.0.0/33', '127.0.0.1', '010.0.0.1', '::1', '10.0.0.5', '192.0.2.11', '02:00:00:00:00:01']);
    case 6: return r.pick(['TCP', 'UDP', 'SCTP', 'Allow', 'Deny', 'allow', 'ingress', 'In', 'Exists', 'apply', '2026-01-01T00:00:00Z', '01997f5e-5b3c-7cc0-8000-000000000001']);
    case 7: return r.chance(0.05) ? r.pick(['x', '\u0001', '"', '漢', '\ud800']).repeat(r.pick([1_000, 60_000])) : r.pick(words);
    case 8: return Array.from({ length: r.chance(0.03) ? 300 : r.int(4) }, () => value(r, depth + 1));
    default: return Object.fromEntries(Array.from({ length: r.chance(0.03) ? 300 : r.int(4) }, (_, i) => [r.chance(0.7) ? r.pick(words) : `${text(r, 6)}${i}`, value(r, depth + 1)]));
  }
}

const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null;
/** The same with one thing, anywhere in it, replaced, removed, added or said twice. */
export function mutated(r: Random, given: unknown): unknown {
  const copy: unknown = structuredClone(given);
  let at = copy;
  for (;;) {
    if (!isObject(at)) return value(r);
    const keys = Object.keys(at);
    const key = keys.length > 0 ? r.pick(keys) : 'x';
    if (isObject(at[key]) && r.chance(0.7)) {
      at = at[key];
      continue;
    }
    switch (r.int(5)) {
      case 0: delete at[key]; break;
      case 1: Object.defineProperty(at, Array.isArray(at) ? String(at.length) : r.pick(words), { value: value(r), enumerable: true, configurable: true, writable: true }); break;
      case 2: if (Array.isArray(at)) at.push(...at, ...at); break;
      default: Object.defineProperty(at, key, { value: value(r), enumerable: true, configurable: true, writable: true });
    }
    return copy;
  }
}

/** Bytes that are JSON no more: cut off, with bytes changed, or nothing that ever was. */
export function damaged(r: Random, bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  if (r.chance(0.3)) return copy.slice(0, r.int(copy.length + 1));
  if (r.chance(0.2)) return Uint8Array.from({ length: r.int(64) }, () => r.int(256));
  for (let i = 0; i <= r.int(4); i++) if (copy.length > 0) copy[r.int(copy.length)] = r.pick([0, 0xff, 0xc0, 0xed, 0x80, 0x22, 0x7b, r.int(256)]);
  return copy;
}
