import { AsyncLocalStorage } from 'node:async_hooks';
import { type Context, context, type ContextManager, ROOT_CONTEXT } from '@opentelemetry/api';

/**
 * Keeps the active context through awaits. Installed without the SDK too, so that a trace that comes in with a message goes on
 * through a process that exports none, and its logs carry the ids.
 */
export class ActiveContext implements ContextManager {
  static #installed = false;
  readonly #storage = new AsyncLocalStorage<Context>();

  static install(): void {
    if (ActiveContext.#installed) return;
    ActiveContext.#installed = true;
    context.setGlobalContextManager(new ActiveContext());
  }

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(active: Context, work: F, thisArg?: ThisParameterType<F>, ...args: A): ReturnType<F> {
    return this.#storage.run(active, () => work.call(thisArg, ...args));
  }
  bind<T>(bound: Context, target: T): T {
    if (typeof target !== 'function') return target;
    const run = (...args: unknown[]): unknown => this.#storage.run(bound, () => (target as (...a: unknown[]) => unknown)(...args));
    return run as T;
  }
  enable(): this {
    return this;
  }
  disable(): this {
    this.#storage.disable();
    return this;
  }
}
