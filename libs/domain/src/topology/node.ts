import type { ApplyBody } from '@osier/contracts/catalogue';
import { type Document, platformScope } from '@osier/contracts/document';
import { type Decision, refuse } from '../decision.ts';
import { applied } from '../entity.ts';
import { parseIpv4 } from '../net/ipv4.ts';
import { unusableFor } from '../net/subnets.ts';

export interface NodeFacts { readonly current: Document<'node'> | undefined; readonly others: readonly Document<'node'>[] }

/** A tunnel endpoint is how the other nodes know whose packets arrive: it can be one node's only. */
export function decideNode(body: ApplyBody<'node'>, { current, others }: NodeFacts, newId: () => string): Decision {
  const { tunnelEndpoint } = body.spec;
  const address = parseIpv4(tunnelEndpoint) ?? 0;
  const special = unusableFor({ first: address, last: address, length: 32 });
  if (special && special !== 'link-local addresses') {
    return refuse('unusable-address', 'spec.tunnelEndpoint', `${tunnelEndpoint} is in the range of ${special}, so no other node can reach it.`, "Give the node's own underlay address.");
  }
  const holder = others.find((node) => node.name !== body.name && node.spec.tunnelEndpoint === tunnelEndpoint);
  if (holder) {
    return refuse('address-taken', 'spec.tunnelEndpoint', `${tunnelEndpoint} is the tunnel endpoint of node ${holder.name}.`, `Give this node's own underlay address, or delete node ${holder.name} first.`);
  }
  return applied('node', platformScope, body, current, () => ({ id: newId(), status: {} }));
}
