import type { Format, Io } from './io.ts';

export interface Step {
  /** Shown behind the title while it goes on. */
  say(text: string): void;
}

/** Runs one step after the other; a person at a terminal sees them as a list that moves, everyone else gets no progress. */
export async function inSteps(io: Io, format: Format, steps: readonly { title: string; work: (step: Step) => Promise<void> }[]): Promise<void> {
  if (!io.interactive || format !== 'table' || steps.length === 0) {
    for (const { work } of steps) await work({ say: () => {} });
    return;
  }
  const { Listr, ListrLogger, ProcessOutput } = await import('listr2');
  const logger = new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) });
  await new Listr(
    steps.map(({ title, work }) => ({
      title,
      task: (_context: unknown, task: { title: string }) => work({ say: (text) => void (task.title = `${title} ${text}`) }),
    })),
    { rendererOptions: { logger, collapseErrors: false }, exitOnError: true },
  ).run();
}
