import { addressKey, addressText, type Address, type Block, type Family } from '../net/address.ts';
import type { Outside, Peer, World } from '../rules/model.ts';

/** Addresses that no rule can tell apart and nobody here has, and one of them to ask with. */
export interface OutsideClass { readonly label: string; readonly side: Outside }

const bits = (family: Family): bigint => (family === 4 ? 32n : 128n);
const valueOf = ({ bytes }: Address): bigint => bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
function addressAt(family: Family, value: bigint): Address {
  const count = family === 4 ? 4 : 16;
  return { family, bytes: Array.from({ length: count }, (_, i) => Number((value >> BigInt(8 * (count - 1 - i))) & 0xffn)) };
}

const blocksOf = (peer: Peer): readonly Block[] => (peer.type === 'block' ? [peer.block, ...peer.except] : peer.type === 'group' ? [...peer.blocks, ...peer.except ?? []] : []);
export const blockKey = (block: Block): string => `${addressKey(block)}/${block.length}`;
/** Every block that a rule mentions, once. */
export function blocksIn(worlds: readonly World[]): Block[] {
  const all = worlds.flatMap(({ policies }) => policies.flatMap(({ ingress, egress }) => [...ingress, ...egress].flatMap(({ peers }) => (peers ?? []).flatMap(blocksOf))));
  return distinctBlocks(all);
}
export const distinctBlocks = (all: readonly Block[]): Block[] => [...new Map(all.map((block) => [blockKey(block), block])).values()];

/** What a person knows to be nobody's, before any other address. */
const examples: Readonly<Record<Family, readonly bigint[]>> = {
  4: [[203, 0, 113, 1], [198, 51, 100, 1], [192, 0, 2, 1]].map((bytes) => valueOf({ family: 4, bytes })),
  6: [valueOf({ family: 6, bytes: [0x20, 0x01, 0x0d, 0xb8, ...Array<number>(11).fill(0), 1] })],
};

/** The addresses of a family cut at the borders of the blocks; those in the same blocks are one class. */
function classesOf(family: Family, all: readonly Block[], held: ReadonlySet<string>): OutsideClass[] {
  const end = 1n << bits(family);
  const blocks = all.filter((block) => block.family === family)
    .map((block) => ({ block, from: valueOf(block), to: valueOf(block) + (1n << (bits(family) - BigInt(block.length))) })).sort((a, b) => b.block.length - a.block.length);
  const borders = [...new Set([0n, end, ...blocks.flatMap(({ from, to }) => [from, to])])].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const classes = new Map<string, { label: string; parts: [bigint, bigint][] }>();
  borders.slice(0, -1).forEach((from, i) => {
    const around = blocks.filter((block) => block.from <= from && from < block.to);
    const key = around.map(({ block }) => blockKey(block)).join(' ');
    const nearest = around[0]?.block;
    const label = nearest === undefined || nearest.length === 0 ? `any other IPv${family} address` : `${addressText(nearest)}/${nearest.length}`;
    const known = classes.get(key) ?? { label, parts: [] };
    known.parts.push([from, borders[i + 1] as bigint]);
    classes.set(key, known);
  });
  return [...classes.values()].flatMap(({ label, parts }) => {
    const free = freeIn(family, parts, held);
    return free === undefined ? [] : [{ label, side: { type: 'outside' as const, name: addressText(free), addresses: [free] } }];
  });
}

function freeIn(family: Family, parts: readonly (readonly [bigint, bigint])[], held: ReadonlySet<string>): Address | undefined {
  const isFree = (value: bigint): boolean => !held.has(addressKey(addressAt(family, value)));
  for (const value of examples[family]) if (parts.some(([from, to]) => from <= value && value < to) && isFree(value)) return addressAt(family, value);
  for (const [from, to] of [...parts].sort(([a], [b]) => Number(a === 0n) - Number(b === 0n))) {
    // The first address of a block names the block, where it holds others.
    for (let value = to - from > 2n ? from + 1n : from; value < to; value++) if (isFree(value)) return addressAt(family, value);
    if (isFree(from)) return addressAt(family, from);
  }
  return undefined;
}

/** Everybody who is neither a party nor a node of any of the worlds, as few classes as the blocks leave. */
export function outsideClasses(worlds: readonly World[], blocks: readonly Block[]): OutsideClass[] {
  const held = new Set(worlds.flatMap(({ parties, nodes }) => [...parties.filter(({ ended }) => ended !== true), ...nodes].flatMap(({ addresses }) => addresses.map(addressKey))));
  return ([4, 6] as const).flatMap((family) => classesOf(family, blocks, held));
}
