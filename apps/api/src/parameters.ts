import { none } from '@osier/contracts/names';
import { refusal } from './answers.ts';
import { parseDuration } from './duration.ts';

/** A name, or the id of a credential; absent and `_` mean any. */
export const token = (query: URLSearchParams, name: string): string | undefined => {
  const value = query.get(name);
  if (value === null || value === none) return undefined;
  if (/^[A-Za-z0-9_-]{1,128}$/.test(value)) return value;
  throw refusal(400, 'bad-parameter', name, `"${name}" is not a name.`, `Give ${name} as letters, digits, "-" and "_".`);
};

export const flag = (query: URLSearchParams, name: string): boolean => {
  const value = query.get(name);
  if (value === null || value === 'false') return false;
  if (value === '' || value === 'true') return true;
  throw refusal(400, 'bad-parameter', name, `"${name}" is neither true nor false.`, `Write ${name}=true or leave it out.`);
};

/** Milliseconds since the epoch: a time in RFC 3339, or how long ago (`5m`). */
export function sinceOf(query: URLSearchParams): number | undefined {
  const value = query.get('since');
  if (value === null) return undefined;
  const ago = parseDuration(value);
  const at = ago === undefined ? Date.parse(value) : Date.now() - ago;
  if (Number.isNaN(at)) throw refusal(400, 'bad-parameter', 'since', '"since" is neither a duration nor a time.', 'Write it as 5m or 2026-01-31T12:00:00Z.');
  return at;
}

/** A revision, or a time of the past in RFC 3339, or how long ago (`5m`). */
export function atOf(query: URLSearchParams): { at?: { revision: number } | { time: string } } {
  const value = query.get('at');
  if (value === null) return {};
  if (/^\d{1,15}$/.test(value)) return { at: { revision: Number(value) } };
  const ago = parseDuration(value);
  const time = new Date(ago === undefined ? Date.parse(value) : Date.now() - ago);
  const written = ago !== undefined || /^\d{4}-\d\d-\d\dT/.test(value);
  if (!written || Number.isNaN(time.getTime()) || time.getTime() < 0) throw refusal(400, 'bad-parameter', 'at', '"at" is neither a revision nor a time.', 'Write it as 1234, 5m or 2026-01-31T12:00:00Z.');
  if (time.getTime() > Date.now()) throw refusal(400, 'bad-parameter', 'at', '"at" is a time that has not come yet.', 'Leave it out for what is now.');
  return { at: { time: time.toISOString() } };
}

export function oneOf<T extends string>(query: URLSearchParams, name: string, values: readonly T[]): T | undefined {
  const value = query.get(name);
  const found = values.find((v) => v === value);
  if (value === null || found !== undefined) return found;
  throw refusal(400, 'bad-parameter', name, `"${name}" is not one of: ${values.join(', ')}.`, `Use one of: ${values.join(', ')}.`);
}

export function limitOf(query: URLSearchParams, standard = 100, most = 1000): number {
  const value = query.get('limit') ?? String(standard);
  const limit = /^\d{1,6}$/.test(value) ? Number(value) : 0;
  if (limit >= 1 && limit <= most) return limit;
  throw refusal(400, 'bad-parameter', 'limit', `"limit" is not a number from 1 to ${most}.`, `Give a number from 1 to ${most}; ask for the next page with "before".`);
}

/** Where a page ends, as the page before has said: a sequence for each stream that it is made of. */
export function beforeOf(query: URLSearchParams, streams: number): readonly (number | undefined)[] {
  const value = query.get('before');
  if (value === null) return Array.from({ length: streams }, () => undefined);
  const parts = value.split('.');
  if (parts.length === streams && parts.every((part) => /^\d{1,15}$/.test(part))) return parts.map(Number);
  throw refusal(400, 'bad-parameter', 'before', '"before" is not what an answer gave as "next".', 'Leave it out to begin with the newest.');
}
