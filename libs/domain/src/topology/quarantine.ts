import type { Claim, Moment } from './enforcement.ts';

/** A deleted endpoint whose address is still held. */
export interface Departed { readonly endpoint: string; readonly revision: number }

/**
 * An address is free again when no kernel can hold anything of its endpoint: every node that was ever told anything has confirmed the tombstone by reading
 * its kernel back. Silence never counts: a node whose agent is dead may still forward. Only its removal ends its claim, and then once every other
 * node has confirmed the removal, and with it no longer takes packets from its tunnel endpoint.
 */
export function isFree(departed: Departed, nodes: readonly Claim[], removals: readonly number[], { incarnation }: Pick<Moment, 'incarnation'>): boolean {
  const needed = Math.max(departed.revision, ...removals);
  return nodes.every(({ told, receipt, ahead }) => {
    if (!told && !receipt) return true;
    return receipt !== undefined && !ahead && receipt.incarnation === incarnation && receipt.revision >= needed && !receipt.pending.some((p) => p.id === departed.endpoint);
  });
}
