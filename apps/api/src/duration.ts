import { refusal } from './answers.ts';

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `10`, `10s`, `500ms`, `2m`, `1h`, `7d` → milliseconds. Undefined if it is none of these. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)?$/.exec(text);
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * units[(match[2] ?? 's') as keyof typeof units]);
}

/** The `timeout` of a request in milliseconds. */
export function timeoutOf(query: URLSearchParams, standard: number, most = 300_000): number {
  const text = query.get('timeout');
  if (text === null) return standard;
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined || milliseconds > most) {
    throw refusal(400, 'bad-parameter', 'timeout', `"timeout" is ${JSON.stringify(text.slice(0, 40))}, which is no duration up to ${most / 1000} s.`, 'Write it as 10s, 500ms or 2m.');
  }
  return milliseconds;
}
