import { type Address, addressKey, addressText, type Block, contains, type Family } from '../net/address.ts';
import { isOwnNode } from '../rules/decide.ts';
import type { IndexedWorld } from '../rules/index-world.ts';
import type { Party, PartySelector, Peer, Side, TagSelector } from '../rules/model.ts';
import { canonical, tagOf } from '../rules/selector.ts';
import { blockKey, blocksIn, distinctBlocks, outsideClasses } from './outside.ts';

/** Somebody is named as `osier reach` takes it: `shop/web`, `ip:203.0.113.1`. */
export interface Member { readonly name: string; /** What a person is told: a name, a node, or the block of an address outside. */ readonly label: string; /** In each of the worlds; undefined where he is not there. */ readonly sides: readonly (Side | undefined)[] }
/** Members that no rule of any of the worlds can tell apart. */
export interface Group { readonly members: readonly Member[] }
/** Pairs of two groups that every rule treats alike, and one of them to ask about. */
export interface Pairs { readonly from: Group; readonly to: Group; readonly count: number; readonly sample: readonly [Member, Member]; /** Where only some of the pairs are meant. */ readonly only?: readonly (readonly [Member, Member])[] }

const distinct = <T>(all: readonly T[], key: (one: T) => string): T[] => [...new Map(all.map((one) => [key(one), one])).values()];
const selectorKey = ({ scope, scopeTags, tags }: PartySelector): string => `${scope ?? '*'}\n${canonical(scopeTags)}\n${canonical(tags)}`;

/** Everything that a decision looks at in one side, as a text: sides of the same text are treated alike by every rule. */
export function looks(index: IndexedWorld, blocks: readonly Block[]): (side: Side) => string {
  const { policies } = index.world;
  const rules = policies.flatMap(({ ingress, egress }) => [...ingress, ...egress]);
  const peers = rules.flatMap((rule): readonly Peer[] => rule.peers ?? []);
  const ofParties = [...policies.flatMap(({ subject }) => (subject.type === 'parties' ? [subject] : [])), ...peers.flatMap((peer) => (peer.type === 'parties' ? [peer] : peer.type === 'group' ? peer.selectors ?? [] : []))];
  const selectors = distinct(ofParties, selectorKey);
  const same = distinct(ofParties.flatMap((selector) => selector.same ?? []), ({ of, key }) => `${of} ${key}`);
  const nodeTags = distinct(peers.flatMap((peer): TagSelector[] => (peer.type === 'nodes' ? [peer.tags] : [])), canonical);
  const groups = [...new Set(peers.flatMap((peer) => (peer.type === 'group' ? [peer.parties] : [])))];
  const portNames = new Set(rules.flatMap(({ ports }) => (ports ?? []).flatMap((port) => ('name' in port ? [port.name] : []))));
  const bits = <T>(of: readonly T[], holds: (one: T) => boolean): string => of.map((one) => (holds(one) ? '1' : '0')).join('');

  const inBlocks = new Map<string, string>();
  const addressLook = (address: Address): string => {
    const key = addressKey(address);
    const known = inBlocks.get(key) ?? `${address.family}${bits(blocks, (block) => contains(block, address))}`;
    inBlocks.set(key, known);
    return known;
  };
  const classes = new Map<number, string>();
  const classLook = (party: Party): string => {
    const own = index.classOf(party);
    const known = classes.get(own.id) ?? `${bits(selectors, (selector) => index.inClass(selector, own))}${JSON.stringify(same.map(({ of, key }) => tagOf(of === 'scope' ? own.scopeTags : own.tags, key) ?? null))}`;
    classes.set(own.id, known);
    return known;
  };
  const nodeLook = (name: string | undefined): string => {
    const node = name === undefined ? undefined : index.node(name);
    return node === undefined ? 'no node' : bits(nodeTags, (tags) => index.nodeSelected(tags, node));
  };
  const firstOf = (addresses: readonly Address[]): string => ([4, 6] as const).flatMap((family) => addresses.find((a) => a.family === family) ?? []).map(addressLook).join(' ');
  return (side) => {
    if (side.type === 'outside') return `outside ${firstOf(side.addresses)} ${side.node === undefined ? '' : `node ${nodeLook(side.node.name)}`}`;
    const ports = side.ports.filter(({ name }) => portNames.has(name)).map(({ name, protocol, port }) => `${name}/${protocol}/${port}`).sort().join();
    const who = side.host === true ? `host ${nodeLook(side.node)}` : `${classLook(side)} ${bits(groups, (names) => names.has(side.name))}`;
    return `${who} ${firstOf(side.addresses)} ${ports} ${(side.segment ?? []).map(({ name }) => name).join()}`;
  };
}

/** Of Osier's own documents: what is not in the same network does not exist to it. */
export const isClosed = ({ world }: IndexedWorld): boolean => world.parties.some(({ segment }) => segment !== undefined);

/** Everybody there is: parties, the addresses of nodes, and one address for each class outside. */
export function everybody(indexes: readonly IndexedWorld[], blocks: readonly Block[]): Member[] {
  const worlds = indexes.map(({ world }) => world);
  const found = new Map<string, { label: string; sides: (Side | undefined)[] }>();
  const put = (key: string, label: string, i: number, side: Side): void => {
    const known = found.get(key) ?? { label, sides: worlds.map(() => undefined) };
    known.sides[i] = side;
    found.set(key, known);
  };
  indexes.forEach((index, i) => {
    for (const party of index.world.parties) put(party.name, party.name, i, party);
    for (const node of index.world.nodes) for (const address of node.addresses) put(`ip:${addressText(address)}`, `node ${node.name}`, i, { type: 'outside', name: `node ${node.name}`, addresses: [address], node });
  });
  if (!indexes.some(isClosed)) for (const { label, side } of outsideClasses(worlds, blocks)) indexes.forEach((_, i) => put(`ip:${side.name}`, label, i, side));
  return [...found].map(([name, { label, sides }]) => ({ name, label, sides }));
}

/** `mark`: what else tells members apart, for the question that is asked. */
export function groupsOf(indexes: readonly IndexedWorld[], members: readonly Member[], blocks: readonly Block[], mark: (member: Member) => string = () => ''): Group[] {
  const lookIn = indexes.map((index) => looks(index, blocks));
  const groups = new Map<string, Member[]>();
  for (const member of members) {
    const key = `${mark(member)}\n${member.sides.map((side, i) => (side === undefined ? '-' : lookIn[i]?.(side))).join('\n')}`;
    groups.set(key, [...(groups.get(key) ?? []), member]);
  }
  return [...groups.values()].map((of) => ({ members: of }));
}

export const blocksFor = (indexes: readonly IndexedWorld[], more: readonly Block[] = []): Block[] => distinctBlocks([...blocksIn(indexes.map(({ world }) => world)), ...more]).sort((a, b) => (blockKey(a) < blockKey(b) ? -1 : 1));

const onNodes = (group: Group): boolean => group.members[0]?.sides.some((side) => side !== undefined && (side.type === 'outside' ? side.node !== undefined : side.host === true)) === true;
export const ownNode = (a: Side | undefined, b: Side | undefined): boolean =>
  a !== undefined && b !== undefined && ((a.type === 'party' && a.host !== true && isOwnNode(a, b)) || (b.type === 'party' && b.host !== true && isOwnNode(b, a)));
export const isOutside = (group: Group): boolean => group.members[0]?.sides.every((side) => side === undefined || side.type === 'outside') === true;

/** The pairs of two groups, apart where it counts that one is the node of the other; nobody is paired with himself. */
export function pairsOf(from: Group, to: Group): Pairs[] {
  if (isOutside(from) && isOutside(to)) return [];
  if (!onNodes(from) && !onNodes(to)) {
    const shared = from === to ? from.members.length : 0;
    const sample = pick(from, to);
    return sample === undefined ? [] : [{ from, to, count: from.members.length * to.members.length - shared, sample }];
  }
  const kinds = new Map<string, [Member, Member][]>();
  for (const a of from.members) for (const b of to.members) {
    if (a === b) continue;
    const key = a.sides.map((side, i) => (ownNode(side, b.sides[i]) ? '1' : '0')).join('');
    const known = kinds.get(key);
    if (known === undefined) kinds.set(key, [[a, b]]);
    else known.push([a, b]);
  }
  return [...kinds.values()].map((only) => ({ from, to, count: only.length, sample: only[0] as [Member, Member], ...(kinds.size === 1 ? {} : { only }) }));
}
function pick(from: Group, to: Group): [Member, Member] | undefined {
  const [a] = from.members;
  const b = to.members.find((member) => member !== a);
  return a === undefined || b === undefined ? undefined : [a, b];
}

export function* allPairs(pairs: Pairs): Generator<readonly [Member, Member]> {
  if (pairs.only !== undefined) yield* pairs.only;
  else for (const a of pairs.from.members) for (const b of pairs.to.members) if (a !== b) yield [a, b];
}

/** Families of the packets that two sides can exchange; undefined where the manifests leave none, and a probe would not say one either. */
export function familiesOf(from: Side, to: Side): (Family | undefined)[] {
  const of = (side: Side): Family[] => ([4, 6] as const).filter((family) => side.addresses.some((address) => address.family === family));
  const [a, b] = [of(from), of(to)];
  if (a.length === 0 && b.length === 0) return [4];
  const both = a.length === 0 ? b : b.length === 0 ? a : a.filter((family) => b.includes(family));
  if (both.length > 0) return both;
  return from.type === 'outside' || to.type === 'outside' ? [] : [undefined];
}
