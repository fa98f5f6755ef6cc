import { type Address, type Block, contains } from './address.ts';

/** Many blocks, asked often: one look for each prefix length that occurs, however many blocks there are. */
const few = 4;
const sets = new WeakMap<readonly Block[], (address: Address) => boolean>();

/** Whether an address is in one of these; the list is never written to. */
export function inOneOf(blocks: readonly Block[], address: Address): boolean {
  if (blocks.length <= few) return blocks.some((block) => contains(block, address));
  const known = sets.get(blocks) ?? setOf(blocks);
  sets.set(blocks, known);
  return known(address);
}

function setOf(blocks: readonly Block[]): (address: Address) => boolean {
  const byLength = new Map<number, Set<string>>();
  for (const block of blocks) {
    const those = byLength.get(block.length);
    if (those) those.add(keyOf(block, block.length));
    else byLength.set(block.length, new Set([keyOf(block, block.length)]));
  }
  return (address) => [...byLength].some(([length, those]) => those.has(keyOf(address, length)));
}

/** The first bits of an address, and of which family; a block longer than the address has no such bits, and so is another key. */
function keyOf({ family, bytes }: Address, length: number): string {
  const whole = length >> 3;
  const rest = length & 7;
  return `${family} ${bytes.slice(0, whole).join('.')}${rest === 0 ? '' : ` ${(bytes[whole] ?? 0) >> (8 - rest)}`}`;
}
