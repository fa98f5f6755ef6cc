import { usage } from './failure.ts';

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `30s`, `500ms`, `2m`, `90d`, `30` (seconds) → milliseconds. */
export function duration(text: string): number {
  const match = /^(\d{1,9}(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text);
  if (match === null) throw usage(`"${text}" is not a duration.`, 'Write it as 30s, 500ms or 2m.');
  return Math.round(Number(match[1]) * units[(match[2] ?? 's') as keyof typeof units]);
}
