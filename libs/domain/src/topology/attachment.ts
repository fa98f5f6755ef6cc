import type { Document, Scope } from '@osier/contracts/document';
import { pathOf } from '@osier/contracts/document';
import type { Spec } from '@osier/contracts/kinds';
import { type Decision, refuse } from '../decision.ts';

type Attached = Pick<Spec<'endpoint'>, 'node' | 'attachment'>;

/** A network namespace on a node, `<node>/<containerId>`: neither can hold a "/". Holders are found by it. */
export const namespaceKey = ({ node, attachment }: Attached): string => `${node}/${attachment.containerId}`;

/**
 * A namespace belongs to the environment that has an endpoint in it, until the last of them is deleted: whoever could put another
 * there would be inside a stranger's workload. Within its environment each interface is one endpoint's.
 * `holders`: the endpoints whose namespaceKey is this one's.
 */
export function contested(scope: Scope, spec: Attached, holders: readonly Document<'endpoint'>[]): Decision | undefined {
  const { containerId, interface: device } = spec.attachment;
  const foreign = holders.some((e) => e.domain !== scope.domain || e.project !== scope.project || e.environment !== scope.environment);
  if (foreign) {
    return refuse('attachment-foreign', 'spec.attachment', `The network namespace "${containerId}" on node "${spec.node}" is taken by another.`, "Name the network namespace of this workload's own container.");
  }
  const holder = holders.find((e) => e.spec.attachment.interface === device);
  if (!holder) return undefined;
  return refuse('attachment-taken', 'spec.attachment', `Interface "${device}" of "${containerId}" on node "${spec.node}" is that of endpoint ${pathOf(holder)}.`, 'Delete that endpoint first, or name another container or interface.');
}
