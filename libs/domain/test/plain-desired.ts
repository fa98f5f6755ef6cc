import { type Document, pathOf } from '@osier/contracts/document';
import { compileEnvironment } from '../src/policy/environment.ts';
import type { Layer, Program } from '../src/policy/compile.ts';
import type { Digest } from '../src/policy/model.ts';
import { memberOf } from '../src/reconcile/member.ts';
import { createPolicies } from '../src/reconcile/policies.ts';
import { type AnyDocument } from '@osier/contracts/document';
import { groupKinds, policyKinds } from '@osier/contracts/kinds';
import { type LocalEndpoint, type NodeProgram, type Pending, type Place, placeKey } from '../src/reconcile/program.ts';
import type { View } from '../src/reconcile/view.ts';

type Endpoint = Document<'endpoint'>;
type Network = Document<'network'>;

/**
 * The same as `src/reconcile/desired.ts`, in the plainest words and each time from nothing: what the other is held against.
 *
 * From what a node knows to what its kernel should do. Depends on the documents alone, not on how they came. Only networks that have
 * an endpoint here count: what else the view holds is left over from an earlier interest.
 */
export function plainDesired(view: View, node: string, digest: Digest, room: number): NodeProgram {
  const nodes = new Map(view.list('node').map((n) => [n.name, n.spec.tunnelEndpoint]));
  const networks = new Map(view.list('network').map((n) => [n.id, n]));
  const pending: Pending[] = [];
  const endpoints = view.list('endpoint');
  const here = endpoints.filter((e) => e.spec.node === node);
  for (const e of here) if (!networks.has(e.parent)) pending.push(unknown(e, 'network-unknown', `Its network ${e.spec.network} is not known here`));
  const used = new Set(here.map((e) => e.parent));
  const usedNetworks = [...networks.values()].filter((n) => used.has(n.id));
  const places = new Map<string, Place>();
  const locals: LocalEndpoint[] = [];
  const programs = new Map<string, Program>();
  const layers = new Map<string, Layer>();
  const known = createPolicies();
  for (const kind of [...groupKinds, ...policyKinds]) for (const document of view.list(kind)) known.tell(document as AnyDocument);
  const environments = [...new Set(usedNetworks.map(environmentOf))];
  for (const environment of new Set(usedNetworks.map(environmentOf))) {
    const within = endpoints.filter((e) => environmentOf(e) === environment && used.has(e.parent) && networks.has(e.parent));
    const policies = known.within(environment);
    const compiled = compileEnvironment(environment, policies, within.filter((e) => e.spec.node === node).map(memberOf), within.map(memberOf), digest, room);
    for (const e of within) {
      const place = placeOf(e, networks.get(e.parent) as Network, node, nodes, compiled.identityOf(memberOf(e)).digest, pending);
      if (place === undefined) continue;
      const taken = places.get(placeKey(place));
      if (taken) {
        pending.push(unknown(e, 'address-conflict', `Its address ${place.address} belongs to ${taken.path}`));
        continue;
      }
      places.set(placeKey(place), place);
      if (place.tunnel !== undefined) continue;
      const program = compiled.programOf(memberOf(e));
      const shadow = compiled.shadowOf(memberOf(e));
      for (const one of [program, shadow]) if (one) {
        programs.set(one.digest, one);
        for (const slot of one.slots) layers.set(slot, compiled.layers.get(slot) as Layer);
      }
      locals.push({ ...place, version: e.version, containerId: e.spec.attachment.containerId, interface: e.spec.attachment.interface, program: program.digest, shadow: shadow?.digest });
    }
  }
  return { tunnelEndpoint: nodes.get(node), endpoints: locals, places, programs, layers, pending: [...pending, ...known.pending(environments)] };
}

const environmentOf = (d: { domain: string; project: string; environment: string }): string => `${d.domain}/${d.project}/${d.environment}`;
const unknown = (e: Endpoint, code: string, reason: string): Pending => ({ kind: 'endpoint', id: e.id, path: pathOf(e), code, reason: `${reason}.` });

function placeOf(e: Endpoint, network: Network, node: string, nodes: ReadonlyMap<string, string>, identity: string, pending: Pending[]): Place | undefined {
  const tunnel = e.spec.node === node ? undefined : nodes.get(e.spec.node);
  if (e.spec.node !== node && tunnel === undefined) {
    pending.push(unknown(e, 'node-unknown', `The tunnel endpoint of its node ${e.spec.node} is not known here`));
    return undefined;
  }
  return {
    id: e.id, path: pathOf(e), environment: environmentOf(e), networkName: network.name, tags: e.spec.tags,
    rd: network.status.vni, address: e.status.address, network: network.status.number, tunnel, mac: e.status.mac, identity,
  };
}
