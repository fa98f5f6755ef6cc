import { compileLayer, type Layer, type Part, type Program, programOf, slotsOf } from './compile.ts';
import { createDeclared } from './declared.ts';
import { type Identity, identityMeaning } from './identity.ts';
import { type Instance, instantiate, type Reads, readsOf, viewOf } from './instance.ts';
import { type Matcher, meets, subjectsOf } from './matcher.ts';
import type { Digest, Member, Policy } from './model.ts';
import { byText, tierOf } from './order.ts';
import { Parties } from './parties.ts';

/**
 * What `compileEnvironment` works out, kept up to date change by change: after whatever was put and taken away, in whatever order, the same as from nothing.
 *
 *   policy ──selects──► local parties ──set of policies──► program ──slots──► layers ──read──► matchers ──mean──► parties ──set of matchers──► identity
 *
 * A change goes along these arrows and no further: a policy touches its layer; a matcher that nobody read before, or nobody reads any more, the parties that it
 * means; an identity that comes or goes, the layers that read one of its matchers. Where a policy takes something from its subject, such as a tag that a peer must
 * have the same of, it has a layer for each way in which subjects differ in it.
 */
export interface Compiler {
  putPolicy(policy: Policy): void;
  deletePolicy(id: string): void;
  /** `local`: it runs on this node, so it has a program. */
  putParty(id: string, member: Member, local: boolean): void;
  deleteParty(id: string): void;
  /** Works out what has to be; tells what is another than at the last call: parties by identity or program, and slots by their layer. */
  settle(): { readonly parties: ReadonlySet<string>; readonly slots: ReadonlySet<string> };
  /** As of the last `settle`. */
  identityOf(id: string): Identity;
  programOf(id: string): Program;
  /** What its program would be if the shadow policies that select it were in force; undefined where none does. */
  shadowOf(id: string): Program | undefined;
  /** Of a slot; undefined: no program has it. */
  layerOf(slot: string): Layer | undefined;
}

interface PartyState {
  readonly id: string;
  readonly member: Member;
  readonly local: boolean;
  readonly peers: Set<PeerState>;
  readonly policies: Set<PolicyState>;
  identity: KnownIdentity | undefined;
  runs: ProgramState | undefined;
  shows: ProgramState | undefined;
}
/** A matcher that some layer reads. */
interface PeerState { readonly text: string; matcher: Matcher; readonly identities: Set<Identity>; readonly layers: Set<LayerState> }
interface KnownIdentity { readonly identity: Identity; readonly peers: readonly PeerState[]; readonly key: string; parties: number }
interface PolicyState { policy: Policy; subjects: Matcher | undefined; reads: Reads; readonly selects: Set<PartyState>; readonly layers: Set<LayerState>; readonly instances: Map<string, Instance> }
interface SelectedPart extends Part { readonly state: PolicyState }
interface LayerState { readonly slot: string; readonly parts: readonly SelectedPart[]; readonly programs: Set<ProgramState>; reads: Set<PeerState>; instances: readonly Instance[]; layer: Layer | undefined; over: boolean }
interface ProgramState {
  readonly key: string;
  readonly program: Program;
  readonly layers: readonly LayerState[];
  /** Who runs it, or shows what it would do; each of them is one to its policies. */
  readonly parties: Set<PartyState>;
}

/** `room`: slots of a program. */
export function createCompiler(environment: string, digest: Digest, room: number): Compiler {
  const parties = new Map<string, PartyState>();
  const everyone = new Parties<PartyState>();
  const locals = new Parties<PartyState>();
  const declared = createDeclared();
  const policies = new Map<string, PolicyState>();
  const peers = new Map<string, PeerState>();
  const identities = new Map<string, KnownIdentity>();
  const programs = new Map<string, ProgramState>();
  const layers = new Map<string, LayerState>();
  const unused = new Set<PeerState>();
  const toSelect = new Set<PartyState>();
  /** Layers whose policies say something else than when they were read last. */
  const toRead = new Set<LayerState>();
  const toClassify = new Set<PartyState>();
  const toCompile = new Set<LayerState>();
  /** The same policies select many, and digests are dear. */
  const digests = new Map<string, string>();
  const remembered = (text: string): string => {
    const found = digests.get(text) ?? digest(text);
    digests.set(text, found);
    return found;
  };
  let changed = new Set<string>();
  let changedSlots = new Set<string>();

  const select = (state: PolicyState, party: PartyState): void => {
    state.selects.add(party);
    party.policies.add(state);
    toSelect.add(party);
  };
  const unselect = (state: PolicyState, party: PartyState): void => {
    state.selects.delete(party);
    party.policies.delete(state);
    toSelect.add(party);
  };

  function putPolicy(policy: Policy): void {
    const known = policies.get(policy.id);
    if (known && known.policy.name !== policy.name) {
      deletePolicy(policy.id);
      return putPolicy(policy);
    }
    const state: PolicyState = known ?? { policy, subjects: undefined, reads: readsOf(policy), selects: new Set(), layers: new Set(), instances: new Map() };
    policies.set(policy.id, state);
    state.subjects = subjectsOf(policy);
    const wanted = new Set(state.subjects && locals.metBy(state.subjects));
    const reads = readsOf(policy);
    const readsOther = JSON.stringify(reads) !== JSON.stringify(state.reads) || policy.shadow !== state.policy.shadow || policy.tier !== state.policy.tier;
    state.policy = policy;
    state.reads = reads;
    for (const party of [...state.selects]) if (!wanted.has(party)) unselect(state, party);
    for (const party of wanted) if (readsOther || !state.selects.has(party)) select(state, party);
    readAnew(state);
  }
  function readAnew(state: PolicyState): void {
    state.instances.clear();
    for (const layer of state.layers) toRead.add(layer);
  }
  function deletePolicy(id: string): void {
    const state = policies.get(id);
    if (!state) return;
    for (const party of [...state.selects]) unselect(state, party);
    // It may come again before anybody looks: then as another.
    for (const layer of state.layers) close(layer);
    policies.delete(id);
  }
  function putParty(id: string, member: Member, local: boolean): void {
    const before = parties.get(id);
    if (before?.local === local && sameMember(before.member, member)) return;
    const party: PartyState = { id, member, local, peers: new Set(), policies: new Set(), identity: undefined, runs: undefined, shows: undefined };
    parties.set(id, party);
    everyone.add(party);
    declared.add(member);
    for (const peer of peers.values()) if (meets(peer.matcher, member)) party.peers.add(peer);
    toClassify.add(party);
    if (local) {
      locals.add(party);
      toSelect.add(party);
      for (const state of policies.values()) {
        if (state.subjects && meets(state.subjects, member)) select(state, party);
      }
    }
    if (before) leave(before, party);
    else changed.add(id);
  }
  /** Its identity and its program become its successor's, so that what stays the same is not told as a change. */
  function leave(party: PartyState, successor: PartyState | undefined): void {
    everyone.delete(party);
    locals.delete(party);
    declared.remove(party.member);
    for (const state of [...party.policies]) unselect(state, party);
    toClassify.delete(party);
    toSelect.delete(party);
    if (successor) successor.identity = party.identity;
    else if (party.identity) drop(party.identity);
    if (!party.runs) return;
    if (successor?.local) {
      successor.runs = party.runs;
      successor.shows = party.shows;
    } else changed.add(party.id);
    for (const program of new Set([party.runs, party.shows])) {
      if (program && successor?.local) program.parties.add(successor);
      if (program) leaveProgram(program, party);
    }
  }

  function assign(party: PartyState): void {
    const all = [...party.policies].sort((a, b) => byText(a.policy.name, b.policy.name) || byText(a.policy.id, b.policy.id))
      .map((state): SelectedPart => ({ state, id: state.policy.id, tier: tierOf(state.policy), view: viewOf(state.reads, party.member) }));
    const enforced = all.filter(({ state }) => state.policy.shadow !== true);
    const before = [party.runs, party.shows];
    party.runs = programFor(enforced);
    party.shows = enforced.length === all.length ? undefined : programFor(all);
    const now = new Set([party.runs, party.shows]);
    if (before[0] !== party.runs || before[1] !== party.shows) changed.add(party.id);
    for (const one of now) one?.parties.add(party);
    for (const one of before) if (one && !now.has(one)) leaveProgram(one, party);
  }
  function programFor(selected: readonly SelectedPart[]): ProgramState {
    const slots = slotsOf(environment, selected, room, remembered);
    const key = slots.map(({ slot }) => slot).join(' ');
    const known = programs.get(key);
    if (known?.layers.every(({ over }) => !over) === true) return known;
    const made: ProgramState = { key, program: programOf(environment, slots.map(({ slot }) => slot), digest), layers: slots.map(open), parties: new Set() };
    for (const layer of made.layers) layer.programs.add(made);
    programs.set(key, made);
    return made;
  }
  function open({ slot, parts }: { readonly slot: string; readonly parts: readonly SelectedPart[] }): LayerState {
    const known = layers.get(slot);
    if (known) return known;
    const made: LayerState = { slot, parts, programs: new Set(), reads: new Set(), instances: [], layer: undefined, over: false };
    layers.set(slot, made);
    for (const { state } of parts) state.layers.add(made);
    toRead.add(made);
    return made;
  }
  /** Nobody is given it any more: what comes under its key is another. */
  function close(layer: LayerState): void {
    if (layers.get(layer.slot) === layer) layers.delete(layer.slot);
    layer.over = true;
    changedSlots.add(layer.slot);
  }
  function leaveProgram(program: ProgramState, party: PartyState): void {
    program.parties.delete(party);
    if (program.parties.size > 0) return;
    if (programs.get(program.key) === program) programs.delete(program.key);
    for (const layer of program.layers) {
      layer.programs.delete(program);
      if (layer.programs.size === 0) end(layer);
    }
  }
  function end(layer: LayerState): void {
    close(layer);
    toRead.delete(layer);
    toCompile.delete(layer);
    for (const { state, view } of layer.parts) {
      state.layers.delete(layer);
      if (![...state.layers].some((other) => other.parts.some((one) => one.state === state && one.view === view))) state.instances.delete(view);
    }
    for (const peer of layer.reads) unread(peer, layer);
  }
  function unread(peer: PeerState, layer: LayerState): void {
    peer.layers.delete(layer);
    if (peer.layers.size === 0) unused.add(peer);
  }

  /** What its policies are for its subjects, and so whom it must be able to tell apart. */
  function read(layer: LayerState): void {
    const [program] = layer.programs;
    const [subject] = program?.parties ?? [];
    if (subject === undefined) return;
    layer.instances = layer.parts.map(({ state, view }) => {
      const made = state.instances.get(view) ?? instantiate(state.policy, subject.member, environment, declared.of);
      state.instances.set(view, made);
      return made;
    });
    const wanted = new Set(layer.instances.flatMap(({ matchers }) => [...matchers.values()].map(begin)));
    for (const peer of layer.reads) if (!wanted.has(peer)) unread(peer, layer);
    for (const peer of wanted) {
      peer.layers.add(layer);
      unused.delete(peer);
    }
    layer.reads = wanted;
    toCompile.add(layer);
  }
  function begin(matcher: Matcher): PeerState {
    const known = peers.get(matcher.text);
    if (known === undefined) {
      const made: PeerState = { text: matcher.text, matcher, identities: new Set(), layers: new Set() };
      peers.set(matcher.text, made);
      for (const party of everyone.metBy(matcher)) {
        party.peers.add(made);
        toClassify.add(party);
      }
      return made;
    }
    if (matcher.who.type === 'group' && matcher.who !== known.matcher.who) {
      // The same group, with other members.
      known.matcher = matcher;
      for (const party of parties.values()) {
        const is = meets(matcher, party.member);
        if (is === party.peers.has(known)) continue;
        if (is) party.peers.add(known);
        else party.peers.delete(known);
        toClassify.add(party);
      }
    }
    return known;
  }

  function classify(party: PartyState): void {
    const found = [...party.peers].sort((a, b) => byText(a.text, b.text));
    const key = found.map((peer) => peer.text).join('\n');
    if (party.identity?.key === key) return;
    const before = party.identity;
    party.identity = identities.get(key) ?? introduce(key, found);
    party.identity.parties++;
    if (before) drop(before);
    changed.add(party.id);
  }
  function introduce(key: string, found: readonly PeerState[]): KnownIdentity {
    const texts = found.map((peer) => peer.text);
    const made: KnownIdentity = { identity: { digest: digest(identityMeaning(environment, texts)), environment, matchers: texts }, peers: found, key, parties: 0 };
    identities.set(key, made);
    for (const peer of found) {
      peer.identities.add(made.identity);
      for (const layer of peer.layers) toCompile.add(layer);
    }
    return made;
  }
  function drop(known: KnownIdentity): void {
    if (--known.parties > 0) return;
    identities.delete(known.key);
    for (const peer of known.peers) {
      peer.identities.delete(known.identity);
      for (const layer of peer.layers) toCompile.add(layer);
    }
  }

  function compile(state: LayerState): void {
    const concerned = new Set<Identity>();
    for (const peer of state.reads) for (const identity of peer.identities) concerned.add(identity);
    const layer = compileLayer(state.instances, [...concerned], digest);
    if (state.layer !== undefined && sameLayer(state.layer, layer)) return;
    state.layer = layer;
    changedSlots.add(state.slot);
  }

  return {
    putPolicy, deletePolicy, putParty,
    deleteParty(id) {
      const party = parties.get(id);
      if (!party) return;
      parties.delete(id);
      leave(party, undefined);
      changed.add(id);
    },
    settle() {
      for (const name of declared.changed()) for (const state of policies.values()) if (state.reads.peerPorts.includes(name)) readAnew(state);
      for (const party of toSelect) if (parties.get(party.id) === party) assign(party);
      for (const layer of toRead) read(layer);
      for (const peer of unused) {
        peers.delete(peer.text);
        for (const party of everyone.metBy(peer.matcher)) {
          party.peers.delete(peer);
          toClassify.add(party);
        }
      }
      for (const party of toClassify) classify(party);
      for (const layer of toCompile) compile(layer);
      for (const done of [toSelect, toRead, unused, toClassify, toCompile]) done.clear();
      const told = { parties: changed, slots: changedSlots };
      changed = new Set();
      changedSlots = new Set();
      digests.clear();
      return told;
    },
    identityOf: (id) => known(parties.get(id)?.identity?.identity, id),
    programOf: (id) => known(parties.get(id)?.runs?.program, id),
    shadowOf: (id) => parties.get(id)?.shows?.program,
    layerOf: (slot) => layers.get(slot)?.layer,
  };
}

function known<T>(found: T | undefined, id: string): T {
  if (found === undefined) throw new Error(`nothing is worked out for ${id}`);
  return found;
}

function sameMember(a: Member, b: Member): boolean {
  return a.name === b.name && a.scope === b.scope && sameTags(a.tags, b.tags) && sameTags(a.scopeTags, b.scopeTags)
    && (a.ports === b.ports || JSON.stringify(a.ports) === JSON.stringify(b.ports)) && JSON.stringify(a.addresses) === JSON.stringify(b.addresses);
}
function sameTags(a: Member['tags'], b: Member['tags']): boolean {
  if (a === b) return true;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}

/** A digest is of what the entries do: not of names and priorities, which flow records and the kernel's rules tell. */
function sameLayer(a: Layer, b: Layer): boolean {
  if (a.digest !== b.digest || a.rules.size !== b.rules.size) return false;
  for (const [key, info] of a.rules) {
    const other = b.rules.get(key);
    if (other === undefined || other.name !== info.name || other.priority !== info.priority || other.policyPath !== info.policyPath || other.tier !== info.tier) return false;
  }
  return true;
}
