import type { Condition, Opaque, TagSelector } from '../rules/model.ts';
import { checkLabels, labelValue, qualifiedName } from './names.ts';
import { child, isObject, type Json, type Report, shown } from './problem.ts';
import type { ObjectSchema } from './schema.ts';

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

/** `required`: of the two fields of an expression, as the definition of a custom resource has them; a built-in kind checks by code. */
const selectorSchema = (required: readonly string[], empty: { readonly nullIsEmpty?: true }): ObjectSchema => ({
  type: 'object',
  fields: {
    matchLabels: { type: 'map', values: { type: 'string' } },
    matchExpressions: {
      type: 'array', ...empty,
      items: { type: 'object', required, fields: { key: { type: 'string' }, operator: { type: 'string' }, values: { type: 'array', ...empty, items: { type: 'string' } } } },
    },
  },
});
export const builtInSelector = selectorSchema([], { nullIsEmpty: true });
export const customSelector = selectorSchema(['key', 'operator'], {});

interface Expression { readonly key: string; readonly operator: string; readonly values: readonly string[] }

function expressionsOf(selector: Json): Expression[] {
  const list = Array.isArray(selector['matchExpressions']) ? selector['matchExpressions'] : [];
  return list.map((item): Expression => {
    const e = isObject(item) ? item : {};
    return {
      key: typeof e['key'] === 'string' ? e['key'] : '', operator: typeof e['operator'] === 'string' ? e['operator'] : '',
      values: Array.isArray(e['values']) ? e['values'].map((v) => (typeof v === 'string' ? v : '')) : [],
    };
  });
}

/** What the validation of built-in kinds says of a selector. Of custom resources an API server checks the form only. */
export function checkSelector(selector: unknown, path: string, report: Report): void {
  if (!isObject(selector)) return;
  if (isObject(selector['matchLabels'])) checkLabels(selector['matchLabels'], child(path, 'matchLabels'), report);
  expressionsOf(selector).forEach((e, i) => {
    const at = `${path}.matchExpressions[${i}]`;
    const takesValues = e.operator === 'In' || e.operator === 'NotIn';
    if (!operators.some((known) => known === e.operator)) report(`${at}.operator`, `${shown(e.operator)} is not a selector operator; use ${operators.join(', ')}`);
    else if (takesValues && e.values.length === 0) report(`${at}.values`, `is required where the operator is ${e.operator}`);
    else if (!takesValues && e.values.length > 0) report(`${at}.values`, `may not be given where the operator is ${e.operator}`);
    const wrong = qualifiedName(e.key);
    if (wrong !== undefined) report(`${at}.key`, wrong);
    e.values.forEach((value, v) => {
      const bad = labelValue(value);
      if (bad !== undefined) report(`${at}.values[${v}]`, bad);
    });
  });
}

/** The conditions of a selector; opaque where an API server takes it and nobody can evaluate it. */
export function selectorOf(selector: unknown, path: string): TagSelector | Opaque {
  if (!isObject(selector)) return [];
  let wrong: string | undefined;
  checkSelector(selector, path, (at, reason) => (wrong ??= `${at}: ${reason}`));
  if (wrong !== undefined) return { type: 'opaque', field: path, why: `no implementation can evaluate this selector, although an API server accepts it (${wrong})`, among: { type: 'parties', scopeTags: [], tags: [] } };
  const labels = isObject(selector['matchLabels']) ? Object.entries(selector['matchLabels']) : [];
  return [
    ...labels.map(([key, value]): Condition => ({ key, operator: 'In', values: [typeof value === 'string' ? value : ''] })),
    ...expressionsOf(selector).map(({ key, operator, values }): Condition =>
      (operator === 'In' || operator === 'NotIn' ? { key, operator, values } : { key, operator: operator as 'Exists' | 'DoesNotExist' })),
  ];
}
export const isOpaque = (value: TagSelector | Opaque): value is Opaque => !Array.isArray(value);
