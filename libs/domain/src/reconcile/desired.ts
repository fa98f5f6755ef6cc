import { type AnyDocument, type Document, pathOf } from '@osier/contracts/document';
import { groupKinds, policyKinds } from '@osier/contracts/kinds';
import { type Compiler, createCompiler } from '../policy/incremental.ts';
import type { Layer, Program } from '../policy/compile.ts';
import type { Digest } from '../policy/model.ts';
import { environmentPath as environmentOf } from '../rules/osier.ts';
import { memberOf } from './member.ts';
import { createPlaces } from './places.ts';
import { createPolicies } from './policies.ts';
import type { Changed, NodeProgram, Pending, Place } from './program.ts';
import type { View } from './view.ts';

type Endpoint = Document<'endpoint'>;
type Network = Document<'network'>;

/**
 * From what a node knows to what its kernel should do. Depends on the documents alone, not on how they came. Only networks that have
 * an endpoint here count: what else is known is left over from an earlier interest.
 *
 * Documents are told one by one, and only what one changes is worked out again; the program is the same as if all had been told at once.
 */
export interface Desired {
  tell(document: AnyDocument): void;
  /** The program is kept up to date in place: it is what it is until the next call. `changed`: since the last call. */
  settle(): { readonly program: NodeProgram; readonly changed: Changed };
}

/** The networks of an environment that have an endpoint here, and what the rules make of everybody in them. */
interface Environment { readonly networks: Set<string>; readonly compiler: Compiler }

/** `room`: slots of a program. */
export function createDesired(node: string, digest: Digest, room: number): Desired {
  const nodes = new Map<string, Document<'node'>>();
  /** Tunnel endpoints by the node's name. */
  let tunnels: ReadonlyMap<string, string> | undefined;
  const networks = new Map<string, Network>();
  const endpoints = new Map<string, Endpoint>();
  const inNetwork = new Map<string, Set<string>>();
  const onNode = new Map<string, Set<string>>();
  const policies = createPolicies();
  const environments = new Map<string, Environment>();
  /** Endpoints with what they are in an environment's compiler. */
  const within = new Map<string, string>();
  const pending = new Map<string, Pending>();
  const places = createPlaces();
  const programs = new Map<string, Program>();
  const layers = new Map<string, Layer>();
  /** Programs by the slots that they have. */
  const having = new Map<string, Set<string>>();
  const toPlace = new Set<string>();
  const toUse = new Set<string>();

  const all = (ids: Iterable<string> | undefined): void => {
    for (const id of ids ?? []) toPlace.add(id);
  };
  const tellers: { readonly [K in AnyDocument['kind']]?: (document: AnyDocument) => void } = {
    node: (document) => {
      const told = document as Document<'node'>;
      keep(nodes, told);
      tunnels = undefined;
      all(onNode.get(told.name));
    },
    network: (document) => {
      keep(networks, document as Network);
      toUse.add(document.id);
      all(inNetwork.get(document.id));
    },
    ...Object.fromEntries([...policyKinds, ...groupKinds].map((kind) => [kind, policies.tell])),
    endpoint: (document) => {
      const told = document as Endpoint;
      for (const [index, key] of [[inNetwork, (e: Endpoint) => e.parent], [onNode, (e: Endpoint) => e.spec.node]] as const) {
        const before = endpoints.get(told.id);
        if (before) index.get(key(before))?.delete(told.id);
        if (told.phase === 'active') entered(index, key(told), () => new Set<string>()).add(told.id);
      }
      for (const one of [endpoints.get(told.id), told]) if (one) toUse.add(one.parent);
      keep(endpoints, told);
      toPlace.add(told.id);
    },
  };

  const isHere = (e: Endpoint): boolean => e.spec.node === node;
  /** Whether the network has an endpoint here; where that changes, it does for everybody in it. */
  function use(id: string): void {
    const network = networks.get(id);
    const used = network !== undefined && [...inNetwork.get(id) ?? []].some((e) => isHere(endpoints.get(e) as Endpoint));
    const environment = network && environmentOf(network);
    for (const [name, { networks: those }] of environments) {
      if (!those.has(id) || (used && name === environment)) continue;
      those.delete(id);
      all(inNetwork.get(id));
      if (those.size === 0) close(name);
    }
    if (!used || environment === undefined || environments.get(environment)?.networks.has(id)) return;
    const opened = environments.get(environment);
    (opened ?? open(environment)).networks.add(id);
    all(inNetwork.get(id));
  }
  function open(name: string): Environment {
    const made: Environment = { networks: new Set(), compiler: createCompiler(name, digest, room) };
    environments.set(name, made);
    fresh.add(name);
    for (const e of endpoints.values()) if (environmentOf(e) === name) toPlace.add(e.id);
    return made;
  }
  function close(name: string): void {
    environments.delete(name);
    fresh.delete(name);
    for (const e of endpoints.values()) if (environmentOf(e) === name) toPlace.add(e.id);
  }
  /** Their policies are told when their endpoints are: to look once for whom a selector selects is less than to look once for each of them. */
  const fresh = new Set<string>();

  /** The environment in which the rules look at it, if they do. */
  const viewedIn = (e: Endpoint): Environment | undefined => {
    const found = environments.get(environmentOf(e));
    const used = found && (found.networks.has(e.parent) || [...environments.values()].some((other) => other.networks.has(e.parent)));
    return used ? found : undefined;
  };
  function enter(id: string): void {
    const e = endpoints.get(id);
    const environment = e && viewedIn(e) ? environmentOf(e) : undefined;
    const before = within.get(id);
    if (before !== undefined && before !== environment) environments.get(before)?.compiler.deleteParty(id);
    if (e && environment !== undefined) {
      within.set(id, environment);
      environments.get(environment)?.compiler.putParty(id, memberOf(e), isHere(e));
    } else within.delete(id);
  }
  function place(id: string): void {
    pending.delete(id);
    const e = endpoints.get(id);
    if (e && isHere(e) && !networks.has(e.parent)) pending.set(id, unknown(e, 'network-unknown', `Its network ${e.spec.network} is not known here`));
    const compiler = environments.get(within.get(id) ?? '')?.compiler;
    if (!e || !compiler) return places.put(id, undefined);
    const tunnel = isHere(e) ? undefined : tunnels?.get(e.spec.node);
    if (!isHere(e) && tunnel === undefined) {
      pending.set(id, unknown(e, 'node-unknown', `The tunnel endpoint of its node ${e.spec.node} is not known here`));
      return places.put(id, undefined);
    }
    const found = placeOf(e, networks.get(e.parent) as Network, tunnel, compiler.identityOf(id).digest);
    const { containerId, interface: name } = e.spec.attachment;
    places.put(id, isHere(e) ? { place: found, local: { ...found, version: e.version, containerId, interface: name, program: compiler.programOf(id).digest, shadow: compiler.shadowOf(id)?.digest } } : { place: found });
  }

  return {
    tell: (document) => tellers[document.kind]?.(document),
    settle() {
      tunnels ??= new Map(byId(nodes).map(({ name, spec }) => [name, spec.tunnelEndpoint]));
      for (const id of toUse) use(id);
      toUse.clear();
      for (const id of toPlace) enter(id);
      for (const name of fresh) for (const policy of policies.within(name)) environments.get(name)?.compiler.putPolicy(policy);
      for (const { id, within } of policies.changed()) for (const [name, { compiler }] of environments) {
        const policy = fresh.has(name) ? undefined : within(name);
        if (policy) compiler.putPolicy(policy);
        else if (!fresh.has(name)) compiler.deletePolicy(id);
      }
      fresh.clear();
      const slots = new Set<string>();
      for (const { compiler } of environments.values()) {
        const settled = compiler.settle();
        all(settled.parties);
        for (const slot of settled.slots) slots.add(slot);
      }
      for (const id of toPlace) place(id);
      toPlace.clear();
      const changed = places.settle();
      for (const id of changed.conflicts) {
        const e = endpoints.get(id);
        const taken = places.ofId(id);
        if (e && taken && taken.id !== id) pending.set(id, unknown(e, 'address-conflict', `Its address ${e.status.address} belongs to ${taken.path}`));
        else if (pending.get(id)?.code === 'address-conflict') pending.delete(id);
      }
      const changedPrograms = new Set(changed.programs);
      for (const digestOf of changedPrograms) {
        for (const slot of programs.get(digestOf)?.slots ?? []) {
          having.get(slot)?.delete(digestOf);
          slots.add(slot);
        }
        programs.delete(digestOf);
      }
      for (const e of places.locals()) {
        const compiler = environments.get(e.environment)?.compiler;
        for (const program of [compiler?.programOf(e.id), compiler?.shadowOf(e.id)]) {
          if (program === undefined || programs.get(program.digest) === program) continue;
          if (programs.has(program.digest) && !changed.endpoints.has(e.id)) continue;
          programs.set(program.digest, program);
          changedPrograms.add(program.digest);
          for (const slot of program.slots) {
            entered(having, slot, () => new Set<string>()).add(program.digest);
            slots.add(slot);
          }
        }
      }
      const changedLayers = new Set<string>();
      for (const slot of slots) {
        const [user] = having.get(slot) ?? [];
        if (user === undefined) having.delete(slot);
        const layer = user === undefined ? undefined : environments.get(programs.get(user)?.environment ?? '')?.compiler.layerOf(slot);
        if (layers.get(slot) === layer) continue;
        changedLayers.add(slot);
        if (layer) layers.set(slot, layer);
        else layers.delete(slot);
      }
      const told = [...pending.values(), ...policies.pending([...environments.keys()])].sort((a, b) => (a.id < b.id ? -1 : 1));
      return { program: { tunnelEndpoint: tunnels.get(node), endpoints: places.locals(), places: places.all, programs, layers, pending: told }, changed: { places: changed.places, endpoints: changed.endpoints, programs: changedPrograms, layers: changedLayers, left: changed.left } };
    },
  };
}

/** All that a view holds, at once. */
export function desired(view: View, node: string, digest: Digest, room: number): NodeProgram {
  return desiredOf(view, node, digest, room).settle().program;
}
/** Told of everything that the view holds so far. */
export function desiredOf(view: View, node: string, digest: Digest, room: number): Desired {
  const made = createDesired(node, digest, room);
  for (const kind of ['node', 'network', 'endpoint', ...groupKinds, ...policyKinds] as const) for (const document of view.list(kind)) made.tell(document as AnyDocument);
  return made;
}

const byId = <D extends { readonly id: string }>(documents: ReadonlyMap<string, D>): D[] => [...documents.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
function keep<D extends AnyDocument>(documents: Map<string, D>, document: D): void {
  if (document.phase === 'active') documents.set(document.id, document);
  else documents.delete(document.id);
}
function entered<V>(map: Map<string, V>, key: string, make: () => V): V {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}

const unknown = (e: Endpoint, code: string, reason: string): Pending => ({ kind: 'endpoint', id: e.id, path: pathOf(e), code, reason: `${reason}.` });

const placeOf = (e: Endpoint, network: Network, tunnel: string | undefined, identity: string): Place => ({
  id: e.id, path: pathOf(e), environment: environmentOf(e), networkName: network.name, tags: e.spec.tags,
  rd: network.status.vni, address: e.status.address, network: network.status.number, tunnel, mac: e.status.mac, identity,
});
