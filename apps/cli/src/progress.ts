import type { Format, Io } from './io.ts';

export interface Step {
  /** Shown behind the title while it goes on. */
  say(text: string): void;
  /** Marks the step as not done, and goes on with the next: what is wrong is told by the command at its end. */
  failed(): void;
}
export interface StepDeclaration { readonly title: string; readonly work: (step: Step) => Promise<void> }

/** Runs one step after the other until one throws; a person at a terminal sees them as a list that moves, everyone else gets no progress. */
export async function inSteps(io: Io, format: Format, steps: readonly StepDeclaration[]): Promise<void> {
  if (!io.interactive || format !== 'table' || steps.length === 0) {
    for (const { work } of steps) await work({ say: () => {}, failed: () => {} });
    return;
  }
  const { Listr, ListrLogger, ProcessOutput } = await import('listr2');
  const logger = new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) });
  let thrown: { readonly error: unknown } | undefined;
  const tasks = steps.map(({ title, work }) => ({
    title,
    skip: () => thrown !== undefined,
    task: async (_context: unknown, task: { title: string }) => {
      let failed = false;
      await work({ say: (text) => void (task.title = `${title} ${text}`), failed: () => void (failed = true) }).catch((error: unknown) => {
        thrown = { error };
        throw error;
      });
      if (failed) throw new Error(task.title);
    },
  }));
  await new Listr(tasks, { rendererOptions: { logger, showErrorMessage: false, collapseErrors: false, showSkipMessage: false, collapseSkips: false }, exitOnError: false }).run();
  if (thrown !== undefined) throw (thrown as { error: unknown }).error;
}
