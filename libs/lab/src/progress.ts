/** What a person sees of work that takes more than a moment. One line per step. */
export interface Progress {
  step<T>(title: string, work: (say: (detail: string) => void) => Promise<T>): Promise<T>;
}
export const silent: Progress = { step: (_title, work) => work(() => undefined) };

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** On a terminal the line of the running step is redrawn in place; elsewhere each step is one line when it is done. */
export function progressOn(o: { write: (text: string) => void; live: boolean; columns?: number | undefined; colour: (name: 'green' | 'red' | 'dim', text: string) => string }): Progress {
  return {
    async step(title, work) {
      const started = performance.now();
      let detail = '';
      // A line that wraps could not be redrawn.
      const draw = (): void => o.write(`\r\u001b[2K  ${o.colour('dim', `… ${title}  ${detail}`.slice(0, (o.columns ?? 80) - 3))}`);
      const timer = o.live ? setInterval(draw, 200) : undefined;
      if (o.live) draw();
      const finish = (mark: string): void => {
        clearInterval(timer);
        o.write(`${o.live ? '\r\u001b[2K' : ''}  ${mark} ${title}${detail === '' ? '' : ` ${o.colour('dim', `— ${detail}`)}`} ${o.colour('dim', seconds(started))}\n`);
      };
      try {
        const result = await work((text) => (detail = text));
        finish(o.colour('green', '✓'));
        return result;
      } catch (error) {
        finish(o.colour('red', '✗'));
        throw error;
      }
    },
  };
}
