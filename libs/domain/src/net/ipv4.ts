/** IPv4 addresses as numbers (u32, host order) and as the 16 bytes that kernel maps are keyed by (RFC 4291, 2.5.5.2: `::ffff:a.b.c.d`). */

/** Dotted decimal without leading zeros (RFC 6943, 3.1.1); anything else is undefined. */
export function parseIpv4(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let address = 0;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part)) return undefined;
    const byte = Number(part);
    if (byte > 255) return undefined;
    address = address * 256 + byte;
  }
  return address;
}

export const formatIpv4 = (address: number): string =>
  `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;

/** 16 bytes; throws RangeError where the text is no IPv4 address, since schemas have refused those long before. */
export function mapped16(text: string): Uint8Array {
  const address = parseIpv4(text);
  if (address === undefined) throw new RangeError(`not an IPv4 address: ${text}`);
  const bytes = new Uint8Array(16);
  bytes[10] = bytes[11] = 0xff;
  new DataView(bytes.buffer).setUint32(12, address);
  return bytes;
}

/** The dotted text of a mapped address; undefined where the 16 bytes are something else. */
export function fromMapped16(bytes: Uint8Array): string | undefined {
  if (bytes.length !== 16 || bytes[10] !== 0xff || bytes[11] !== 0xff || bytes.subarray(0, 10).some((byte) => byte !== 0)) return undefined;
  return formatIpv4(new DataView(bytes.buffer, bytes.byteOffset, 16).getUint32(12));
}

/** `first` has all host bits zero, `last` all ones; both u32. */
export interface Prefix { readonly first: number; readonly last: number; readonly length: number }

const sizeOf = (length: number): number => 2 ** (32 - length);

/** `10.0.0.7/24` is read as the prefix it lies in; use `hasHostBits` to refuse it. */
export function parsePrefix(text: string): Prefix | undefined {
  const [address, length, extra] = text.split('/');
  if (address === undefined || length === undefined || extra !== undefined || !/^(\d|[12]\d|3[0-2])$/.test(length)) return undefined;
  const base = parseIpv4(address);
  if (base === undefined) return undefined;
  const size = sizeOf(Number(length));
  const first = Math.floor(base / size) * size;
  return { first, last: first + size - 1, length: Number(length) };
}

export const formatPrefix = (prefix: Prefix): string => `${formatIpv4(prefix.first)}/${prefix.length}`;
export const hasHostBits = (text: string): boolean => {
  const prefix = parsePrefix(text);
  return prefix !== undefined && parseIpv4(text.split('/')[0] ?? '') !== prefix.first;
};

export const prefixContains = (prefix: Prefix, address: number): boolean => address >= prefix.first && address <= prefix.last;
export const overlaps = (a: Prefix, b: Prefix): boolean => a.first <= b.last && b.first <= a.last;
