import { compileProgram, type Program } from './compile.ts';
import { createDeclared } from './declared.ts';
import { type Identity, identityMeaning } from './identity.ts';
import { type Instance, instantiate, type Reads, readsOf, viewOf } from './instance.ts';
import { type Matcher, meets, subjectsOf } from './matcher.ts';
import type { Digest, Member, Policy } from './model.ts';
import { byText } from './order.ts';
import { Parties } from './parties.ts';

/**
 * What `compileEnvironment` works out, kept up to date change by change: after whatever was put and taken away, in whatever order, the same as from nothing.
 *
 *   policy ──selects──► local parties ──set of policies──► program ──reads──► matchers ──mean──► parties ──set of matchers──► identity
 *
 * A change goes along these arrows and no further: a policy touches the programs that it is part of; a matcher that nobody read before, or nobody reads
 * any more, the parties that it means; an identity that comes or goes, the programs that read one of its matchers. Where a policy takes something from its
 * subject, such as a tag that a peer must have the same of, subjects that differ in it have different programs.
 */
export interface Compiler {
  putPolicy(policy: Policy): void;
  deletePolicy(id: string): void;
  /** `local`: it runs on this node, so it has a program. */
  putParty(id: string, member: Member, local: boolean): void;
  deleteParty(id: string): void;
  /** Works out what has to be; returns the ids of the parties whose identity or program is another one than at the last call. */
  settle(): ReadonlySet<string>;
  /** As of the last `settle`. */
  identityOf(id: string): Identity;
  programOf(id: string): Program;
  /** What its program would be if the shadow policies that select it were in force; undefined where none does. */
  shadowOf(id: string): Program | undefined;
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
/** A matcher that some program reads. */
interface PeerState { readonly text: string; matcher: Matcher; readonly identities: Set<Identity>; readonly programs: Set<ProgramState> }
interface KnownIdentity { readonly identity: Identity; readonly peers: readonly PeerState[]; readonly key: string; parties: number }
interface PolicyState { policy: Policy; subjects: Matcher | undefined; reads: Reads; readonly selects: Set<PartyState>; readonly programs: Set<ProgramState>; readonly instances: Map<string, Instance> }
interface ProgramState {
  readonly key: string;
  readonly policies: readonly { readonly state: PolicyState; readonly view: string }[];
  /** Who runs it, or shows what it would do; each of them is one to its policies. */
  readonly parties: Set<PartyState>;
  reads: Set<PeerState>;
  instances: readonly Instance[];
  program: Program | undefined;
  over: boolean;
}

export function createCompiler(environment: string, digest: Digest): Compiler {
  const parties = new Map<string, PartyState>();
  const everyone = new Parties<PartyState>();
  const locals = new Parties<PartyState>();
  const declared = createDeclared();
  const policies = new Map<string, PolicyState>();
  const peers = new Map<string, PeerState>();
  const identities = new Map<string, KnownIdentity>();
  const programs = new Map<string, ProgramState>();
  const unused = new Set<PeerState>();
  const toSelect = new Set<PartyState>();
  /** Programs whose policies say something else than when they were read last. */
  const toRead = new Set<ProgramState>();
  const toClassify = new Set<PartyState>();
  const toCompile = new Set<ProgramState>();
  let changed = new Set<string>();

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
    const state: PolicyState = known ?? { policy, subjects: undefined, reads: readsOf(policy), selects: new Set(), programs: new Set(), instances: new Map() };
    policies.set(policy.id, state);
    state.subjects = subjectsOf(policy);
    const wanted = new Set(state.subjects && locals.metBy(state.subjects));
    const reads = readsOf(policy);
    const readsOther = JSON.stringify(reads) !== JSON.stringify(state.reads) || policy.shadow !== state.policy.shadow;
    state.policy = policy;
    state.reads = reads;
    for (const party of [...state.selects]) if (!wanted.has(party)) unselect(state, party);
    for (const party of wanted) if (readsOther || !state.selects.has(party)) select(state, party);
    readAnew(state);
  }
  function readAnew(state: PolicyState): void {
    state.instances.clear();
    for (const program of state.programs) toRead.add(program);
  }
  function deletePolicy(id: string): void {
    const state = policies.get(id);
    if (!state) return;
    for (const party of [...state.selects]) unselect(state, party);
    // It may come again before anybody looks: then as another.
    for (const program of state.programs) close(program);
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
    const all = [...party.policies].sort((a, b) => byText(a.policy.name, b.policy.name) || byText(a.policy.id, b.policy.id)).map((state) => ({ state, view: viewOf(state.reads, party.member) }));
    const enforced = all.filter(({ state }) => state.policy.shadow !== true);
    const before = [party.runs, party.shows];
    party.runs = programFor(enforced, party.runs);
    party.shows = enforced.length === all.length ? undefined : programFor(all, party.shows);
    const now = new Set([party.runs, party.shows]);
    if (before[0] !== party.runs || before[1] !== party.shows) changed.add(party.id);
    for (const one of now) one?.parties.add(party);
    for (const one of before) if (one && !now.has(one)) leaveProgram(one, party);
  }
  function programFor(selected: ProgramState['policies'], before: ProgramState | undefined): ProgramState {
    const key = JSON.stringify(selected.map(({ state, view }) => [state.policy.id, view]));
    return before?.key === key && !before.over ? before : programs.get(key) ?? open(key, selected);
  }
  function leaveProgram(program: ProgramState, party: PartyState): void {
    program.parties.delete(party);
    endIfIdle(program);
  }
  function open(key: string, selected: ProgramState['policies']): ProgramState {
    const made: ProgramState = { key, policies: selected, parties: new Set(), reads: new Set(), instances: [], program: undefined, over: false };
    programs.set(key, made);
    for (const { state } of selected) state.programs.add(made);
    toRead.add(made);
    return made;
  }
  function close(program: ProgramState): void {
    if (programs.get(program.key) === program) programs.delete(program.key);
    program.over = true;
  }
  function endIfIdle(program: ProgramState): void {
    if (program.parties.size > 0) return;
    close(program);
    toRead.delete(program);
    toCompile.delete(program);
    for (const { state, view } of program.policies) {
      state.programs.delete(program);
      if (![...state.programs].some((other) => other.policies.some((one) => one.state === state && one.view === view))) state.instances.delete(view);
    }
    for (const peer of program.reads) unread(peer, program);
  }
  function unread(peer: PeerState, program: ProgramState): void {
    peer.programs.delete(program);
    if (peer.programs.size === 0) unused.add(peer);
  }

  /** What its policies are for its subjects, and so whom it must be able to tell apart. */
  function read(program: ProgramState): void {
    const [subject] = program.parties;
    if (subject === undefined) return;
    program.instances = program.policies.map(({ state, view }) => {
      const made = state.instances.get(view) ?? instantiate(state.policy, subject.member, environment, declared.of);
      state.instances.set(view, made);
      return made;
    });
    const wanted = new Set(program.instances.flatMap(({ matchers }) => [...matchers.values()].map(begin)));
    for (const peer of program.reads) if (!wanted.has(peer)) unread(peer, program);
    for (const peer of wanted) {
      peer.programs.add(program);
      unused.delete(peer);
    }
    program.reads = wanted;
    toCompile.add(program);
  }
  function begin(matcher: Matcher): PeerState {
    const known = peers.get(matcher.text);
    if (known === undefined) {
      const made: PeerState = { text: matcher.text, matcher, identities: new Set(), programs: new Set() };
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
      for (const program of peer.programs) toCompile.add(program);
    }
    return made;
  }
  function drop(known: KnownIdentity): void {
    if (--known.parties > 0) return;
    identities.delete(known.key);
    for (const peer of known.peers) {
      peer.identities.delete(known.identity);
      for (const program of peer.programs) toCompile.add(program);
    }
  }

  function compile(state: ProgramState): void {
    const concerned = new Set<Identity>();
    for (const peer of state.reads) for (const identity of peer.identities) concerned.add(identity);
    const program = compileProgram(environment, state.instances, [...concerned], digest);
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
      for (const name of declared.changed()) for (const state of policies.values()) if (state.reads.peerPorts.includes(name)) readAnew(state);
      for (const party of toSelect) if (parties.get(party.id) === party) assign(party);
      for (const program of toRead) read(program);
      for (const peer of unused) {
        peers.delete(peer.text);
        for (const party of everyone.metBy(peer.matcher)) {
          party.peers.delete(peer);
          toClassify.add(party);
        }
      }
      for (const party of toClassify) classify(party);
      for (const program of toCompile) compile(program);
      for (const done of [toSelect, toRead, unused, toClassify, toCompile]) done.clear();
      const told = changed;
      changed = new Set();
      return told;
    },
    identityOf: (id) => known(parties.get(id)?.identity?.identity, id),
    programOf: (id) => known(parties.get(id)?.runs?.program, id),
    shadowOf: (id) => {
      const shows = parties.get(id)?.shows;
      return shows && known(shows.program, id);
    },
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
function sameProgram(a: Program, b: Program): boolean {
  if (a.digest !== b.digest || a.rules.size !== b.rules.size) return false;
  for (const [key, info] of a.rules) {
    const other = b.rules.get(key);
    if (other === undefined || other.name !== info.name || other.priority !== info.priority || other.policyPath !== info.policyPath || other.tier !== info.tier) return false;
  }
  return true;
}
