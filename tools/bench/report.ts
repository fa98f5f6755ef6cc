/** What a bench says: figures, each with what it is measured against in the same run, and the target that it is held to. */
export interface Target {
  readonly value: number;
  readonly better: 'lower' | 'higher';
  /** Why the figure cannot hold it, whatever it is: measured at a smaller scale than asked for. */
  readonly not?: string;
}
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** The same of what it is measured against. */
  readonly beside?: number;
  /** `value` to `beside`, where that is not simply the one divided by the other: the median of paired runs. */
  readonly ratio?: number;
  /** Lowest and highest of the repetitions: of `ratio` where there is one, else of `value`. */
  readonly spread?: readonly [number, number];
  readonly target?: Target;
}
export interface Report {
  readonly title: string;
  /** Heads of the columns of `value` and `beside`. */
  readonly columns: readonly [string, string];
  readonly figures: readonly Figure[];
  /** What is to be measured and is not there yet. */
  readonly notBuilt?: readonly string[];
  /** What else a reader has to know: sizes, repetitions, what ran. */
  readonly facts: readonly string[];
}
export interface Run { readonly quick: boolean; say(line: string): void }
/** What `test/bench/NAME/bench.ts` exports as `bench`. Throws where nothing could be measured; a missed target is no failure. */
export type Bench = (run: Run) => Promise<Report>;

export const held = (value: number, target: Target): boolean => target.not === undefined && (target.better === 'higher' ? value >= target.value : value <= target.value);

/** Three digits that count, and never an exponent. */
export function figure(value: number): string {
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

export interface Paint { green(text: string): string; red(text: string): string; bold(text: string): string }
const plain: Paint = { green: (text) => text, red: (text) => text, bold: (text) => text };

interface Cell { readonly text: string; readonly paint?: (text: string) => string }

function cells({ name, unit, value, beside, ratio = beside === undefined ? undefined : value / beside, spread, target }: Figure, paint: Paint): Cell[] {
  const kept = target && held(value, target);
  const wanted = target === undefined ? '' : `${target.better === 'higher' ? '≥' : '≤'} ${figure(target.value)}`;
  return [
    { text: unit === '' ? name : `${name}, ${unit}` }, { text: figure(value) }, { text: beside === undefined ? '' : figure(beside) },
    { text: ratio === undefined ? '' : figure(ratio) }, { text: spread === undefined ? '' : spread.map(figure).join(' – ') }, { text: wanted },
    target?.not !== undefined ? { text: 'not at its scale', paint: paint.red } : kept === undefined ? { text: '' } : kept ? { text: 'held', paint: paint.green } : { text: 'MISSED', paint: paint.red },
  ];
}

const unbuilt = (name: string): Cell[] => [name, 'not built', '', '', '', '', ''].map((text) => ({ text }));

/** The table for people. */
export function table(report: Report, paint: Paint = plain): string {
  const head = ['', ...report.columns, 'ratio', 'spread', 'target', ''].map((text): Cell => ({ text, paint: paint.bold }));
  const rows = [head, ...report.figures.map((one) => cells(one, paint)), ...(report.notBuilt ?? []).map(unbuilt)];
  const widths = head.map((_, column) => Math.max(...rows.map((row) => (row[column] as Cell).text.length)));
  const line = (row: readonly Cell[]): string => row.map(({ text, paint: colour }, column) => {
    const padded = column === 0 || column === row.length - 1 ? text.padEnd(widths[column] as number) : text.padStart(widths[column] as number);
    return colour === undefined ? padded : colour(padded);
  }).join('  ').trimEnd();
  return [paint.bold(report.title), '', ...rows.map(line), '', ...report.facts].join('\n');
}

export interface Circumstances { readonly bench: string; readonly quick: boolean; readonly version: string; readonly at: string; readonly machine: Readonly<Record<string, string | number>> }

/** The same for programs. `targets` has what is held to something, and nothing else. */
export function asJson(report: Report, circumstances: Circumstances): string {
  const targets = report.figures.flatMap(({ name, unit, value, target }) => (target === undefined ? [] : [{ name: unit === '' ? name : `${name}, ${unit}`, value, target: target.value, better: target.better, ...(target.not === undefined ? {} : { not: target.not }) }]));
  return `${JSON.stringify({ ...circumstances, targets, figures: report.figures, ...(report.notBuilt === undefined ? {} : { notBuilt: report.notBuilt }), facts: report.facts }, null, 2)}\n`;
}
