import type { Problem } from '@osier/contracts/problem';

/** What is wrong with an archive, and what to do. Nothing of it has been used. */
export class ArchiveProblem extends Error {
  override readonly name = 'ArchiveProblem';
  readonly code: string;
  readonly fix: string;
  constructor(code: string, reason: string, fix: string) {
    super(reason);
    this.code = code;
    this.fix = fix;
  }
  get problem(): Problem {
    return { code: this.code, reason: this.message, path: 'archive', fix: this.fix };
  }
}
const copy = 'Take another copy of the backup, or an earlier backup. `osier backup verify FILE` tells whether one is whole.';
export const truncated = (where: string): ArchiveProblem => new ArchiveProblem('archive-truncated', `The backup is not whole: it ends ${where}.`, copy);
export const damaged = (what: string): ArchiveProblem => new ArchiveProblem('archive-damaged', `The backup is damaged: ${what}.`, copy);
export const notArchive = (): ArchiveProblem => new ArchiveProblem('not-an-archive', 'This is not a backup of Osier.', 'Give the file that `osier backup FILE` wrote.');
export const newer = (format: unknown): ArchiveProblem =>
  new ArchiveProblem('archive-newer', `The backup has format ${String(format).slice(0, 20)}, which this version of Osier does not know.`, 'Use the version of Osier that made it, or a newer one.');
