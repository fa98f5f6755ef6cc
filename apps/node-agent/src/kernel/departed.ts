import type { Kernel } from '@osier/dataplane/kernel';
import { mapped16 } from '@osier/domain/net/ipv4';
import { placeKey } from '@osier/domain/reconcile/program';
import type { Witness } from './observed.ts';

/**
 * Addresses that went, until it is certain that no connection of theirs is tracked any more: a receipt that covers the deletion says so,
 * and the address may then be given to another. A packet that was on its way while the address went could still have begun one.
 */
export interface Departed {
  readonly any: boolean;
  /** `present`: keys of the addresses that should be there; whoever came back is not departed. */
  note(gone: readonly { rd: number; address: string }[], present: ReadonlyMap<string, unknown>): void;
  /** Forgets what is left, now that nobody reaches the address; whoever has nothing left is let go. */
  sweep(): void;
  /** A line for each address with connections left. */
  remaining(): string[];
}

/** Each look of the witness walks the whole table; beyond this many addresses the collector's own count has to do. */
const witnessed = 8;

export function createDeparted(kernel: Kernel, witness: Witness): Departed {
  const owed = new Map<string, { rd: number; address: string }>();
  return {
    get any() {
      return owed.size > 0;
    },
    note(gone, present) {
      for (const { rd, address } of gone) owed.set(placeKey({ rd, address }), { rd, address });
      for (const key of owed.keys()) if (present.has(key)) owed.delete(key);
    },
    sweep() {
      const few = owed.size <= witnessed;
      for (const [key, { rd, address }] of owed) {
        const found = kernel.forget(rd, mapped16(address));
        if (few ? witness.connections(rd, address) === 0 : found === 0) owed.delete(key);
      }
    },
    remaining: () => [...owed.keys()].map((key) => `connections of ${key} are still tracked`),
  };
}
