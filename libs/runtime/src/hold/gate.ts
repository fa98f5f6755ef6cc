/** Work goes through it one by one or together; while it is closed, whoever comes waits. */
export class Gate {
  #active = 0;
  #idle: (() => void)[] = [];
  #opened: Promise<void> | undefined;
  #open: () => void = () => undefined;

  async run<T>(work: () => Promise<T>): Promise<T> {
    while (this.#opened) await this.#opened;
    this.#active++;
    try {
      return await work();
    } finally {
      if (--this.#active === 0) for (const wake of this.#idle.splice(0)) wake();
    }
  }
  /** Returns when nobody is inside any more. */
  async close(): Promise<void> {
    this.#opened ??= new Promise((resolve) => (this.#open = resolve));
    if (this.#active > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }
  open(): void {
    this.#opened = undefined;
    this.#open();
  }
}
