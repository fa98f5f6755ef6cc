import type { Message } from '@osier/bus/bus';
import { type Receipt, receiptSchema } from '@osier/contracts/telemetry';
import { json } from './follow.ts';

export type Received = Receipt & { readonly receivedAt: number };

/** The latest receipt of each node. The subject says whose it is: a node's account lets it publish on its own only. */
export class Receipts {
  readonly #latest = new Map<string, { readonly sequence: number; readonly receipt: Received }>();

  /** `now`: a server whose clock is ahead does not make a receipt younger than its arrival. Throws where the message is no receipt. */
  take(message: Message, now: number): void {
    const node = message.subject.split('.')[2] ?? '';
    const receipt = receiptSchema.parse(json(message));
    if (receipt.node !== node) throw new Error(`a receipt of node ${receipt.node} on the subject of ${node}`);
    if ((this.#latest.get(node)?.sequence ?? 0) < message.sequence) this.#latest.set(node, { sequence: message.sequence, receipt: { ...receipt, receivedAt: Math.min(message.storedAt, now) } });
  }
  of(node: string): Received | undefined {
    return this.#latest.get(node)?.receipt;
  }
}
