import type { Selector, Tags } from '@osier/contracts/names';
import { compileProgram, type Program } from './compile.ts';
import { type Identity, identityMeaning, peerSelectors } from './identity.ts';
import type { Digest, Policy } from './model.ts';
import { byText } from './order.ts';
import { Parties } from './parties.ts';
import { matches } from './selector.ts';

/**
 * What `compileEnvironment` works out, kept up to date change by change: after whatever was put and taken away, in whatever order, the same as from nothing.
 *
 *   policy ──selects──► local parties ──set of policies──► program ──reads──► peer selectors ──select──► parties ──set of selectors──► identity
 *
 * A change goes along these arrows and no further: a policy touches the programs that it is part of; a peer selector that nobody read before, or nobody reads
 * any more, the parties that it selects; an identity that comes or goes, the programs that read one of its selectors.
 */
export interface Compiler {
  putPolicy(policy: Policy): void;
  deletePolicy(id: string): void;
  /** `local`: it runs on this node, so it has a program. */
  putParty(id: string, tags: Tags, local: boolean): void;
  deleteParty(id: string): void;
  /** Works out what has to be; returns the ids of the parties whose identity or program is another one than at the last call. */
  settle(): ReadonlySet<string>;
  /** As of the last `settle`. */
  identityOf(id: string): Identity;
  programOf(id: string): Program;
}

interface PartyState {
  readonly id: string;
  readonly tags: Tags;
  readonly local: boolean;
  readonly peers: Set<PeerSelector>;
  readonly policies: Set<PolicyState>;
  identity: KnownIdentity | undefined;
  runs: ProgramState | undefined;
}
/** A selector that some policy in force names as a peer. */
interface PeerSelector { readonly text: string; readonly selector: Selector; users: number; readonly identities: Set<Identity>; readonly programs: Set<ProgramState> }
interface KnownIdentity { readonly identity: Identity; readonly selectors: readonly PeerSelector[]; readonly key: string; parties: number }
interface PolicyState { policy: Policy; peers: readonly PeerSelector[]; readonly selects: Set<PartyState>; readonly programs: Set<ProgramState> }
interface ProgramState { readonly key: string; readonly policies: readonly PolicyState[]; readonly parties: Set<PartyState>; reads: Set<PeerSelector>; program: Program | undefined; over: boolean }

export function createCompiler(environment: string, digest: Digest): Compiler {
  const parties = new Map<string, PartyState>();
  const everyone = new Parties<PartyState>();
  const locals = new Parties<PartyState>();
  const policies = new Map<string, PolicyState>();
  const selectors = new Map<string, PeerSelector>();
  const identities = new Map<string, KnownIdentity>();
  const programs = new Map<string, ProgramState>();
  const unused = new Set<PeerSelector>();
  const toClassify = new Set<PartyState>();
  const toSelect = new Set<PartyState>();
  const toCompile = new Set<ProgramState>();
  let changed = new Set<string>();

  const use = (policy: Policy): PeerSelector[] => [...peerSelectors([policy])].map(([text, selector]) => {
    const known = selectors.get(text) ?? begin(text, selector);
    known.users++;
    unused.delete(known);
    return known;
  });
  function begin(text: string, selector: Selector): PeerSelector {
    const made: PeerSelector = { text, selector, users: 0, identities: new Set(), programs: new Set() };
    selectors.set(text, made);
    for (const party of everyone.selectedBy(selector)) {
      party.peers.add(made);
      toClassify.add(party);
    }
    return made;
  }
  /** Let go at the next `settle` only: what a policy no longer names, another or its next version may name by then. */
  const release = (peers: readonly PeerSelector[]): void => {
    for (const peer of peers) if (--peer.users === 0) unused.add(peer);
  };
  const inForce = (state: PolicyState): boolean => state.selects.size > 0;
  const select = (state: PolicyState, party: PartyState): void => {
    if (!inForce(state)) state.peers = use(state.policy);
    state.selects.add(party);
    party.policies.add(state);
    toSelect.add(party);
  };
  const unselect = (state: PolicyState, party: PartyState): void => {
    state.selects.delete(party);
    party.policies.delete(state);
    toSelect.add(party);
    if (inForce(state)) return;
    release(state.peers);
    state.peers = [];
  };

  function putPolicy(policy: Policy): void {
    const known = policies.get(policy.id);
    if (known && known.policy.path !== policy.path) {
      deletePolicy(policy.id);
      return putPolicy(policy);
    }
    const state: PolicyState = known ?? { policy, peers: [], selects: new Set(), programs: new Set() };
    policies.set(policy.id, state);
    const before = { selects: [...state.selects], peers: state.peers };
    state.policy = policy;
    const wanted = new Set(locals.selectedBy(policy.spec.appliesTo));
    if (inForce(state)) {
      state.peers = use(policy);
      release(before.peers);
    }
    for (const party of wanted) if (!state.selects.has(party)) select(state, party);
    for (const party of before.selects) if (!wanted.has(party)) unselect(state, party);
    for (const program of state.programs) toCompile.add(program);
  }
  function deletePolicy(id: string): void {
    const state = policies.get(id);
    if (!state) return;
    for (const party of [...state.selects]) unselect(state, party);
    // It may come again before anybody looks: then as another.
    for (const program of state.programs) close(program);
    policies.delete(id);
  }
  function putParty(id: string, tags: Tags, local: boolean): void {
    const before = parties.get(id);
    if (before?.local === local && sameTags(before.tags, tags)) return;
    const party: PartyState = { id, tags, local, peers: new Set(), policies: new Set(), identity: undefined, runs: undefined };
    parties.set(id, party);
    everyone.add(party);
    for (const peer of selectors.values()) if (matches(peer.selector, tags)) party.peers.add(peer);
    toClassify.add(party);
    if (local) {
      locals.add(party);
      toSelect.add(party);
      for (const state of policies.values()) if (matches(state.policy.spec.appliesTo, tags)) select(state, party);
    }
    if (before) leave(before, party);
    else changed.add(id);
  }
  /** Its identity and its program become its successor's, so that what stays the same is not told as a change. */
  function leave(party: PartyState, successor: PartyState | undefined): void {
    everyone.delete(party);
    locals.delete(party);
    for (const state of [...party.policies]) unselect(state, party);
    toClassify.delete(party);
    toSelect.delete(party);
    if (successor) successor.identity = party.identity;
    else if (party.identity) drop(party.identity);
    const { runs } = party;
    if (!runs) return;
    runs.parties.delete(party);
    if (successor?.local) {
      runs.parties.add(successor);
      successor.runs = runs;
    } else {
      changed.add(party.id);
      endIfIdle(runs);
    }
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
  function introduce(key: string, found: readonly PeerSelector[]): KnownIdentity {
    const texts = found.map((peer) => peer.text);
    const made: KnownIdentity = { identity: { digest: digest(identityMeaning(environment, texts)), environment, selectors: texts }, selectors: found, key, parties: 0 };
    identities.set(key, made);
    for (const peer of found) {
      peer.identities.add(made.identity);
      for (const program of peer.programs) toCompile.add(program);
    }
    return made;
  }
  function drop(known: KnownIdentity): void {
    if (--known.parties > 0) return;
    identities.delete(known.key);
    for (const peer of known.selectors) {
      peer.identities.delete(known.identity);
      for (const program of peer.programs) toCompile.add(program);
    }
  }

  function assign(party: PartyState): void {
    const selected = [...party.policies].sort((a, b) => byText(a.policy.path, b.policy.path));
    const key = selected.map((state) => state.policy.id).join(' ');
    if (party.runs?.key === key && !party.runs.over) return;
    const before = party.runs;
    party.runs = programs.get(key) ?? open(key, selected);
    party.runs.parties.add(party);
    changed.add(party.id);
    before?.parties.delete(party);
    if (before) endIfIdle(before);
  }
  function open(key: string, selected: readonly PolicyState[]): ProgramState {
    const made: ProgramState = { key, policies: selected, parties: new Set(), reads: new Set(), program: undefined, over: false };
    programs.set(key, made);
    for (const state of selected) state.programs.add(made);
    toCompile.add(made);
    return made;
  }
  function close(state: ProgramState): void {
    if (programs.get(state.key) === state) programs.delete(state.key);
    state.over = true;
  }
  function endIfIdle(state: ProgramState): void {
    if (state.parties.size > 0) return;
    close(state);
    toCompile.delete(state);
    for (const policy of state.policies) policy.programs.delete(state);
    for (const peer of state.reads) peer.programs.delete(state);
  }
  function compile(state: ProgramState): void {
    const reads = new Set(state.policies.flatMap((policy) => policy.peers));
    for (const peer of state.reads) if (!reads.has(peer)) peer.programs.delete(state);
    for (const peer of reads) peer.programs.add(state);
    state.reads = reads;
    const concerned = new Set<Identity>();
    for (const peer of reads) for (const identity of peer.identities) concerned.add(identity);
    const program = compileProgram(environment, state.policies.map((policy) => policy.policy), [...concerned], digest);
    if (state.program !== undefined && sameProgram(state.program, program)) return;
    state.program = program;
    for (const party of state.parties) changed.add(party.id);
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
      for (const peer of unused) {
        selectors.delete(peer.text);
        for (const party of everyone.selectedBy(peer.selector)) {
          party.peers.delete(peer);
          toClassify.add(party);
        }
      }
      unused.clear();
      for (const party of toClassify) classify(party);
      for (const party of toSelect) if (parties.get(party.id) === party) assign(party);
      for (const program of toCompile) compile(program);
      toClassify.clear();
      toSelect.clear();
      toCompile.clear();
      const told = changed;
      changed = new Set();
      return told;
    },
    identityOf: (id) => known(parties.get(id)?.identity?.identity, id),
    programOf: (id) => known(parties.get(id)?.runs?.program, id),
  };
}

function known<T>(found: T | undefined, id: string): T {
  if (found === undefined) throw new Error(`nothing is worked out for ${id}`);
  return found;
}

function sameTags(a: Tags, b: Tags): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}

/** A digest is of what the entries do: not of names and priorities, which flow records and the kernel's rules tell. */
function sameProgram(a: Program, b: Program): boolean {
  if (a.digest !== b.digest || a.rules.size !== b.rules.size) return false;
  for (const [key, info] of a.rules) {
    const other = b.rules.get(key);
    if (other === undefined || other.name !== info.name || other.priority !== info.priority || other.policyPath !== info.policyPath) return false;
  }
  return true;
}
