import { z } from 'zod';
import { limits } from './limits.ts';

/**
 * Why something was refused, for the person who has to mend it: a stable code, one sentence, the field, the fix.
 * `path` is written as the author wrote the document (`subnets[0]`, `ingress[2].ports[0].port`); empty for the whole body.
 */
export const problemSchema = z.strictObject({
  code: z.string(),
  reason: z.string(),
  path: z.string(),
  fix: z.string(),
});
export type Problem = z.infer<typeof problemSchema>;

export function problem(code: string, path: string, reason: string, fix: string): Problem {
  return { code, reason, path, fix };
}

/** `['subnets', 0, 'cidr']` → `subnets[0].cidr` */
export function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`),
    '',
  );
}

/** Characters of somebody's text that a message repeats. */
const most = 60;
const shorten = (text: string): string => (text.length <= most ? text : `${text.slice(0, most)}… (${text.length} characters)`);

/** A path is somebody's text too, where a key of his is in it. */
const placeOf = (path: readonly PropertyKey[]): string => fieldPath(path.map((part) => (typeof part === 'string' && part.length > limits.tagKeyLength ? shorten(part) : part)));

/** JSON that ends soon after `room` characters, and so at that depth: what it is given may be nested as deep as its body is long. */
function brief(value: unknown, room: number): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, Math.max(0, room) + 1));
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? String(value);
  const list = Array.isArray(value);
  let text = list ? '[' : '{';
  for (const [key, item] of Object.entries(value)) {
    if (text.length > room) break;
    text += `${text.length > 1 ? ',' : ''}${list ? '' : `${brief(key, room)}:`}`;
    text += brief(item, room - text.length);
  }
  return text + (list ? ']' : '}');
}

/** The value at a path, as a short text for a message; never the whole of a large one. */
function shown(body: unknown, path: readonly PropertyKey[]): string {
  let value: unknown = body;
  for (const part of path) value = typeof value === 'object' && value !== null && Object.hasOwn(value, part) ? (value as Record<PropertyKey, unknown>)[part] : undefined;
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return shorten(JSON.stringify(value));
  const text = brief(value, most);
  return text.length <= most ? text : `${text.slice(0, most)}…`;
}

type Issue = z.core.$ZodIssue;

const kindNames: Record<string, string> = { int: 'a whole number', number: 'a number', string: 'a text', array: 'a list', object: 'an object', boolean: 'true or false', record: 'an object' };

/** Says of one schema issue what is wrong and how to mend it. */
function explain(issue: Issue, body: unknown): Problem {
  const at = placeOf(issue.path);
  const it = at === '' ? 'the body' : `"${at}"`;
  switch (issue.code) {
    case 'unrecognized_keys': {
      const key = issue.keys[0] ?? '';
      const field = placeOf([...issue.path, shorten(key)]);
      return problem('unknown-field', field, `"${field}" is not a field that is known here.`, `Remove "${shorten(key)}" or correct its spelling.`);
    }
    case 'invalid_type': {
      const expected = kindNames[issue.expected] ?? issue.expected;
      const value = shown(body, issue.path);
      if (value === 'nothing') return problem('missing-field', at, `${it} is required and is missing.`, `Give ${it} as ${expected}.`);
      return problem('wrong-type', at, `${it} must be ${expected}, and is ${value}.`, `Write ${it} as ${expected}.`);
    }
    case 'too_big':
      if (issue.origin === 'string') {
        return problem('too-long', at, `${it} is longer than ${issue.maximum} characters: ${shown(body, issue.path)}.`, `Shorten ${it} to at most ${issue.maximum} characters.`);
      }
      if (issue.origin === 'number' || issue.origin === 'int') {
        return problem('out-of-range', at, `${it} is ${shown(body, issue.path)}; the highest allowed is ${issue.maximum}.`, `Use at most ${issue.maximum}.`);
      }
      return problem('too-many', at, `${it} has more than ${issue.maximum} items.`, `Give at most ${issue.maximum}.`);
    case 'too_small':
      if (issue.origin === 'number' || issue.origin === 'int') {
        return problem('out-of-range', at, `${it} is ${shown(body, issue.path)}; the lowest allowed is ${issue.minimum}.`, `Use at least ${issue.minimum}.`);
      }
      if (issue.origin === 'string') {
        const text = Number(issue.minimum) === 1 ? `${it} is empty.` : `${it} is shorter than ${issue.minimum} characters.`;
        return problem('too-short', at, text, `Give ${it} at least ${issue.minimum} character(s).`);
      }
      return problem('too-few', at, `${it} needs at least ${issue.minimum} item(s).`, `Give at least ${issue.minimum}.`);
    case 'invalid_value':
      return problem('unknown-value', at, `${it} is ${shown(body, issue.path)}, which is not one of: ${issue.values.join(', ')}.`, `Use one of: ${issue.values.join(', ')}.`);
    default:
      return problem('invalid', at, `${it} is ${shown(body, issue.path)}: ${issue.message}.`, issue.message.startsWith('must ') ? `Change it: it ${issue.message}.` : `Correct ${it}.`);
  }
}

/** The first problem in a body, deepest field first where a union had several readings. */
export function problemFrom(error: z.ZodError, body: unknown): Problem {
  const issue = error.issues[0];
  if (issue === undefined) return problem('invalid', '', 'The body is not valid.', 'Compare it with the reference.');
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const best = issue.errors.map((e) => e[0]).filter((e) => e !== undefined).sort((a, b) => b.path.length - a.path.length)[0];
    if (best) return explain({ ...best, path: [...issue.path, ...best.path] } as Issue, body);
  }
  if (issue.code === 'invalid_key' || issue.code === 'invalid_element') {
    const first = issue.issues[0];
    if (first) return explain({ ...first, path: issue.path } as Issue, body);
  }
  return explain(issue, body);
}

export type Parsed<T> = { ok: true; value: T } | { ok: false; problem: Problem };

export function parse<S extends z.ZodType>(schema: S, body: unknown): Parsed<z.output<S>> {
  let result: z.ZodSafeParseResult<z.output<S>>;
  try {
    result = schema.safeParse(body);
  } catch {
    // zod 4 measures whatever has a `length`, an object in the place of a text too, and cannot where that is no number.
    return { ok: false, problem: problem('wrong-type', '', 'The body has an object with a field "length" where a text or a list belongs.', 'Write a text or a list there; compare the body with the reference.') };
  }
  return result.success ? { ok: true, value: result.data } : { ok: false, problem: problemFrom(result.error, body) };
}
