/** What the shell is told. */
export const exitCodes = { ok: 0, refused: 1, usage: 2, unreachable: 3, timeout: 4 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** An end of the command that a person can do something about: what is wrong, and the fix. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly exitCode: ExitCode;
  readonly code: string;
  readonly fix: string | undefined;
  readonly path: string;
  constructor(exitCode: ExitCode, code: string, reason: string, fix?: string, path = '') {
    super(reason);
    this.exitCode = exitCode;
    this.code = code;
    this.fix = fix;
    this.path = path;
  }
}

export const usage = (reason: string, fix?: string): Failure => new Failure(exitCodes.usage, 'usage', reason, fix);
