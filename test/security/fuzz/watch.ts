import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What a run reports on its last line. A finding is a breach of what must hold, with what caused it. */
export interface Report {
  readonly inputs: number;
  readonly seed: number;
  readonly seconds: number;
  readonly findings: readonly string[];
  readonly answers: Readonly<Record<string, number>>;
  /** Bytes in use after a collection, after the first quarter and at the end. */
  readonly heap: { readonly early: number; readonly end: number };
}

const most = 20;
const leak = /\n\s+at |(?:\/(?:work|home|root|tmp|usr|app|apps|libs)\/|node_modules|file:\/\/)|\.[cm]?[jt]s:\d+|node:internal/;
/** Text that is meant for inside: stack traces and paths of files. */
export const leaks = (body: string): boolean => leak.test(body);

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
export function heapNow(): number {
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

/** What every prototype that JSON can reach has; a change is pollution. */
const shape = (): string => JSON.stringify([Object.prototype, Array.prototype, String.prototype, Number.prototype, Function.prototype, Map.prototype, Promise.prototype].map((p) => Reflect.ownKeys(p).map(String)));

export class Watch {
  readonly findings: string[] = [];
  readonly answers: Record<string, number> = {};
  #more = 0;
  readonly #shape = shape();

  constructor() {
    process.on('unhandledRejection', (error) => this.found('unhandled rejection', error instanceof Error ? error.stack : error));
    process.on('uncaughtException', (error) => this.found('uncaught exception', error.stack));
  }
  found(what: string, by: unknown): void {
    if (this.findings.length >= most) return void this.#more++;
    this.findings.push(`${what}: ${(typeof by === 'string' ? by : JSON.stringify(by) ?? String(by)).slice(0, 600)}`);
  }
  count(answer: string): void {
    this.answers[answer] = (this.answers[answer] ?? 0) + 1;
  }
  /** A problem as it must be for the person who gets it. */
  problem(given: unknown, by: unknown): void {
    const p = given as Partial<Record<'code' | 'reason' | 'path' | 'fix', unknown>> | undefined;
    const filled = (text: unknown): boolean => typeof text === 'string' && text.trim() !== '';
    if (!filled(p?.code) || !filled(p?.reason) || !filled(p?.fix) || typeof p?.path !== 'string') this.found('a refusal lacks its code, reason, path or fix', [given, by]);
    else if (JSON.stringify(given).length > 4_096) this.found('a refusal is longer than 4 KiB', by);
  }
  prototypes(by: unknown): void {
    if (shape() !== this.#shape || (({}) as { polluted?: unknown }).polluted !== undefined) this.found('a prototype was polluted', by);
  }
  report(o: Omit<Report, 'findings' | 'answers'>): Report {
    return { ...o, findings: this.#more > 0 ? [...this.findings, `and ${this.#more} more`] : this.findings, answers: this.answers };
  }
}

export const argument = (name: string, standard: number): number => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? standard : Number(process.argv[at + 1]);
};

/** Runs to the end, or says why it could not: what it throws itself is no finding. */
export function program(main: () => Promise<Report>): void {
  main().then(
    (report) => {
      console.log(JSON.stringify(report));
      process.exit(0);
    },
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
}
