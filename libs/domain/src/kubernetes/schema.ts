import { child, isObject, type Report, shown } from './problem.ts';

/**
 * What an API server accepts as the form of an object. Built-in kinds and custom resources differ only in what is listed here:
 * the former require little and check by code, the latter by the limits of their definitions.
 */
export type Schema =
  | { readonly type: 'string'; readonly maxLength?: number; readonly values?: readonly string[]; readonly rule?: (value: string) => string | undefined }
  | { readonly type: 'integer'; readonly min?: number; readonly max?: number }
  | { readonly type: 'boolean' }
  | { readonly type: 'intOrString' }
  | { readonly type: 'map'; readonly values: Schema }
  | { readonly type: 'array'; readonly items: Schema; readonly minItems?: number; readonly maxItems?: number; readonly set?: true; /** An item that is null counts as an empty one: so Go decodes into a built-in kind. */ readonly nullIsEmpty?: true }
  | ObjectSchema
  /** Names are looked at and nothing else: what an API server prunes is unknown, and what it then drops may be anything. A list counts as each of its items. */
  | { readonly type: 'names'; readonly fields: Readonly<Record<string, Schema>> }
  /** Anything: not looked into, and of no effect on a verdict. */
  | { readonly type: 'any' };
export interface ObjectSchema {
  readonly type: 'object';
  readonly fields: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** Other fields are not looked into. */
  readonly open?: true;
  /** Exactly one of the fields must be there. */
  readonly oneOf?: true;
  readonly minProperties?: number;
  /** Says what is wrong with the object as a whole. */
  readonly rule?: (value: Readonly<Record<string, unknown>>) => string | undefined;
}

const int32 = { min: -2147483648, max: 2147483647 };
const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** Says everything that is wrong with the form of a value. Fields that are null count as absent, as they do for an API server. */
export function check(schema: Schema, value: unknown, path: string, report: Report): void {
  switch (schema.type) {
    case 'any': return;
    case 'names': return checkNames(schema, value, path, report);
    case 'string': return checkString(schema, value, path, report);
    case 'integer': return checkInteger(schema, value, path, report);
    case 'boolean':
      if (typeof value !== 'boolean') report(path, `must be true or false, not ${shown(value)}`);
      return;
    case 'intOrString':
      if (typeof value !== 'string') checkInteger({ type: 'integer' }, value, path, report, 'a whole number or a string');
      return;
    case 'map':
      if (!isObject(value)) return report(path, `must be an object, not ${shown(value)}`);
      for (const [key, item] of Object.entries(value)) check(schema.values, item ?? '', child(path, key), report);
      return;
    case 'array': return checkArray(schema, value, path, report);
    case 'object': return checkObject(schema, value, path, report);
  }
}

function checkNames(schema: Schema & { type: 'names' }, value: unknown, path: string, report: Report): void {
  if (Array.isArray(value)) return value.forEach((item, i) => checkNames(schema, item, `${path}[${i}]`, report));
  if (!isObject(value)) return;
  for (const [key, item] of Object.entries(value)) {
    const field = Object.hasOwn(schema.fields, key) ? schema.fields[key] : undefined;
    if (field === undefined) report(child(path, key), 'unknown field');
    else check(field, item, child(path, key), report);
  }
}

function checkString(schema: Schema & { type: 'string' }, value: unknown, path: string, report: Report): void {
  if (typeof value !== 'string') return report(path, `must be a string, not ${shown(value)}${typeof value === 'object' ? '' : `; write it in quotes: "${String(value)}"`}`);
  if (schema.maxLength !== undefined && [...value].length > schema.maxLength) report(path, `may not be longer than ${schema.maxLength} characters, and has ${[...value].length}`);
  if (schema.values !== undefined && !schema.values.includes(value)) report(path, `${shown(value)} is not supported; supported are ${schema.values.map(shown).join(', ')}`);
  const wrong = schema.rule?.(value);
  if (wrong !== undefined) report(path, wrong);
}

function checkInteger(schema: Schema & { type: 'integer' }, value: unknown, path: string, report: Report, what = 'a whole number'): void {
  if (typeof value !== 'number' || !Number.isInteger(value)) return report(path, `must be ${what}, not ${shown(value)}`);
  const [min, max] = [schema.min ?? int32.min, schema.max ?? int32.max];
  if (value < min || value > max) report(path, `must be between ${min} and ${max}, inclusive, and is ${value}`);
}

function checkArray(schema: Schema & { type: 'array' }, value: unknown, path: string, report: Report): void {
  if (!Array.isArray(value)) return report(path, `must be a list, not ${shown(value)}`);
  if (schema.minItems !== undefined && value.length < schema.minItems) report(path, `must have at least ${counted(schema.minItems, 'item')}, and has ${value.length}`);
  if (schema.maxItems !== undefined && value.length > schema.maxItems) report(path, `must have at most ${counted(schema.maxItems, 'item')}, and has ${value.length}`);
  value.forEach((item, i) => {
    if (item === null && schema.nullIsEmpty === true) return;
    check(schema.items, item, `${path}[${i}]`, report);
    if (schema.set === true && value.indexOf(item) < i) report(`${path}[${i}]`, `${shown(item)} stands there twice`);
  });
}

function checkObject(schema: ObjectSchema, value: unknown, path: string, report: Report): void {
  if (!isObject(value)) return report(path, `must be an object, not ${shown(value)}`);
  const present = Object.entries(value).filter(([, item]) => item !== null && item !== undefined);
  const keys = present.map(([key]) => key);
  for (const key of Object.keys(value)) {
    if (schema.open !== true && !Object.hasOwn(schema.fields, key)) report(child(path, key), 'unknown field');
  }
  for (const key of schema.required ?? []) if (!keys.includes(key)) report(child(path, key), 'is required');
  const known = keys.filter((key) => Object.hasOwn(schema.fields, key));
  if (schema.oneOf === true && known.length !== 1) {
    const names = Object.keys(schema.fields).join(', ');
    report(path, known.length === 0 ? `must have one of ${names}, and has none` : `must have only one of ${names}, and has ${known.join(' and ')}`);
  }
  if (schema.minProperties !== undefined && known.length < schema.minProperties) report(path, `must have at least ${counted(schema.minProperties, 'field')}`);
  for (const [key, item] of present) {
    const field = Object.hasOwn(schema.fields, key) ? schema.fields[key] : undefined;
    if (field !== undefined) check(field, item, child(path, key), report);
  }
  const wrong = schema.rule?.(value);
  if (wrong !== undefined) report(path, wrong);
}
