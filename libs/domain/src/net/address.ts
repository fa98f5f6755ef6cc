/** Addresses and blocks of both families, as bytes. */
export type Family = 4 | 6;
export interface Address { readonly family: Family; readonly bytes: readonly number[] }
/** The addresses whose first `length` bits are those of `bytes`; what follows them is zero. */
export interface Block extends Address { readonly length: number }

/** Decimal with leading zeros, as old parsers read it: `010` is ten. */
function bytesOf4(text: string): number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,8}$/.test(part))) return undefined;
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : undefined;
}

function groupsOf6(text: string): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const last = parts.at(-1) ?? '';
  const embedded = last.includes('.') ? bytesOf4(last) : undefined;
  if (last.includes('.') && embedded === undefined) return undefined;
  const words = embedded === undefined ? parts : parts.slice(0, -1);
  if (!words.every((word) => /^[0-9a-f]{1,8}$/i.test(word))) return undefined;
  const groups = words.map((word) => Number.parseInt(word, 16));
  if (embedded !== undefined) {
    const [a, b, c, d] = embedded as [number, number, number, number];
    groups.push(a << 8 | b, c << 8 | d);
  }
  return groups.every((group) => group <= 0xff_ff) ? groups : undefined;
}

function bytesOf6(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = [groupsOf6(halves[0] ?? ''), halves.length === 2 ? groupsOf6(halves[1] ?? '') : []];
  if (head === undefined || tail === undefined || (halves.length === 1 && text === '')) return undefined;
  if (halves.length === 2 && (halves[0] ?? '').includes('.')) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...Array<number>(missing).fill(0), ...tail].flatMap((group) => [group >> 8, group & 0xff]);
}

const isMapped = (bytes: readonly number[]): boolean => bytes.length === 16 && bytes.slice(0, 10).every((b) => b === 0) && bytes[10] === 0xff && bytes[11] === 0xff;

/** An address in any spelling that a Kubernetes API server reads; an IPv4-mapped IPv6 address is the IPv4 address that it maps. */
export function parseAddress(text: string): Address | undefined {
  const four = bytesOf4(text);
  if (four !== undefined) return { family: 4, bytes: four };
  const six = bytesOf6(text);
  if (six === undefined) return undefined;
  return isMapped(six) ? { family: 4, bytes: six.slice(12) } : { family: 6, bytes: six };
}

const masked = (bytes: readonly number[], length: number): number[] =>
  bytes.map((byte, i) => byte & (0xff << (8 - Math.min(8, Math.max(0, length - i * 8)))) & 0xff);

/** What is unusual in the spelling of a block that can be read all the same. */
export type Oddity = 'leading zeros' | 'IPv4-mapped' | 'host bits';
export interface ParsedBlock { readonly block: Block; /** The prefix length as written: of a mapped block it counts from the front of the IPv6 address. */ readonly written: number; readonly oddity: Oddity | undefined }

/** A block in any spelling that a Kubernetes API server has ever read, and what is odd about it. */
export function parseBlock(text: string): ParsedBlock | undefined {
  const slash = text.indexOf('/');
  const [address, suffix] = slash < 0 ? [text, ''] : [text.slice(0, slash), text.slice(slash + 1)];
  if (!/^\d{1,8}$/.test(suffix)) return undefined;
  const bytes = bytesOf4(address) ?? bytesOf6(address);
  const written = Number(suffix);
  if (bytes === undefined || written > bytes.length * 8) return undefined;
  const network = masked(bytes, written);
  const block: Block = isMapped(network) && written >= 96
    ? { family: 4, bytes: network.slice(12), length: written - 96 }
    : { family: bytes.length === 4 ? 4 : 6, bytes: network, length: written };
  return { block, written, oddity: oddityOf(address, suffix, bytes, network) };
}

function oddityOf(address: string, suffix: string, bytes: readonly number[], network: readonly number[]): Oddity | undefined {
  const dotted = address.slice(address.lastIndexOf(':') + 1);
  const zeros = dotted.includes('.') && dotted.split('.').some((part) => /^0\d/.test(part));
  const wide = address.includes(':') && address.split(':').some((word) => !word.includes('.') && word.length > 4);
  if (zeros || wide || /^0\d/.test(suffix)) return 'leading zeros';
  if (isMapped(bytes)) return 'IPv4-mapped';
  return bytes.some((byte, i) => byte !== network[i]) ? 'host bits' : undefined;
}

export function contains(block: Block, address: Address): boolean {
  if (block.family !== address.family) return false;
  const whole = block.length >> 3;
  for (let i = 0; i < whole; i++) if (block.bytes[i] !== address.bytes[i]) return false;
  const rest = block.length & 7;
  return rest === 0 || ((block.bytes[whole] ?? 0) ^ (address.bytes[whole] ?? 0)) >> (8 - rest) === 0;
}

/** One text for one address: the same in whatever spelling it was written. */
export const addressKey = (address: Address): string => `${address.family} ${address.bytes.join('.')}`;

/** As people write it: IPv6 in lower case, the longest run of zeros as `::`. */
export function addressText({ family, bytes }: Address): string {
  if (family === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => (((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0)).toString(16)).join(':');
  const runs = [...groups.matchAll(/(?<=^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const longest = runs[0];
  if (longest === undefined) return groups;
  return `${groups.slice(0, Math.max(0, longest.index - 1))}::${groups.slice(longest.index + longest[0].length + 1)}`;
}
