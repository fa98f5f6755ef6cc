/** What an API server would say of one field. */
export interface FieldProblem {
  /** As an API server writes it: `spec.ingress[0].from[1].ipBlock.cidr`. */
  readonly path: string;
  readonly reason: string;
  /** Accepted all the same. */
  readonly warning?: true;
}
export type Report = (path: string, reason: string) => void;

export type Json = Readonly<Record<string, unknown>>;
export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
export const child = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);

/** A value as a person would recognise it again, and never long. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
