import type { Problem } from '@osier/contracts/problem';
import type { Faulty } from './documents.ts';
import { table } from './output.ts';

/** What became of one object; the shape of `results` under `--output json`. */
export interface ReportLine {
  readonly kind: string;
  /** `acme/shop/staging/main` */
  readonly path: string;
  readonly result: 'accepted' | 'unchanged' | 'deleted' | 'refused' | 'pending' | 'unreachable';
  readonly revision?: number;
  readonly intentId?: string;
  readonly problem?: Problem;
  readonly file?: string;
  readonly line?: number;
}

const words: Record<ReportLine['result'], (line: ReportLine) => string> = {
  accepted: (line) => `accepted @${line.revision}`,
  unchanged: (line) => (line.revision === 0 ? 'unchanged' : `unchanged @${line.revision}`),
  deleted: (line) => `deleted @${line.revision}`,
  refused: (line) => `refused ${line.problem?.code ?? ''}`,
  pending: (line) => `not decided in time (intent ${line.intentId})`,
  unreachable: () => 'no answer',
};

function because({ problem, file, line }: ReportLine): string[] {
  if (problem === undefined) return [];
  const where = file === undefined ? '' : `${file}${line === undefined ? '' : `:${line}`}: `;
  return [`    ${where}${problem.path === '' ? '' : `${problem.path}: `}${problem.reason}`, ...(problem.fix === '' ? [] : [`    fix: ${problem.fix}`])];
}

/** A line for each object, and below those that were refused the field, the reason and the fix. */
export function report(lines: readonly ReportLine[]): string {
  const rows = table(['', '', ''], lines.map((line) => [line.kind, line.path, words[line.result](line)])).split('\n').slice(1);
  return lines.flatMap((line, index) => [rows[index] ?? '', ...because(line)]).join('\n');
}

export const faultyReport = (faulty: readonly Faulty[]): ReportLine[] =>
  faulty.map(({ at, path, problem }) => {
    const [kind = '', shown] = path.includes(' ') && path !== at.file ? path.split(' ') : ['document', at.file];
    return { kind, path: shown ?? '', result: 'refused' as const, problem, file: at.file, line: at.lineOf(problem.path) };
  });
