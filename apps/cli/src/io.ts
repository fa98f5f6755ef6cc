/** The surroundings of a command, so that nothing below reaches for the process. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadableStream;
  /** Results. */
  out(text: string): void;
  /** Progress and problems. */
  err(text: string): void;
  /** Whether a person watches: progress that redraws itself, colours. */
  readonly interactive: boolean;
  readonly signal: AbortSignal;
}

export function processIo(signal: AbortSignal): Io {
  return {
    env: process.env,
    stdin: process.stdin,
    out: (text) => void process.stdout.write(text.endsWith('\n') ? text : `${text}\n`),
    err: (text) => void process.stderr.write(text.endsWith('\n') ? text : `${text}\n`),
    interactive: process.stderr.isTTY === true && process.stdout.isTTY === true && process.env['TERM'] !== 'dumb' && process.env['CI'] === undefined,
    signal,
  };
}

export const formats = ['table', 'json', 'yaml'] as const;
export type Format = (typeof formats)[number];
