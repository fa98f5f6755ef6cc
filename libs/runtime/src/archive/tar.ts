/**
 * As much of the tar format (POSIX.1-1988, "ustar"; sizes of 8 GiB and more as GNU tar writes them) as an archive needs: plain files, one after the other, so
 * that any tar can look into it. Written out here because it is 40 lines, and the usual package brings a second runtime's file system with it.
 */
export const block = 512;
const encode = (text: string): Buffer => Buffer.from(text, 'latin1');
const sizeField = { at: 124, length: 12 };
const longestName = 100;
const largestOctal = 0o77777777777;

function checksum(header: Buffer): number {
  let sum = 0;
  for (const [index, byte] of header.entries()) sum += index >= 148 && index < 156 ? 0x20 : byte;
  return sum;
}

export function tarHeader(name: string, size: number, mtime: number): Buffer {
  const header = Buffer.alloc(block);
  if (Buffer.byteLength(name) > longestName) throw new Error(`a name in a tar file has at most ${longestName} bytes: ${name}`);
  header.write(name, 0, 'utf8');
  for (const [at, text] of [[100, '0000600\0'], [108, '0000000\0'], [116, '0000000\0'], [136, `${Math.floor(mtime).toString(8).padStart(11, '0')}\0`], [156, '0'], [257, 'ustar\u000000']] as const) encode(text).copy(header, at);
  if (size <= largestOctal) encode(`${size.toString(8).padStart(11, '0')}\0`).copy(header, sizeField.at);
  else {
    header.writeBigUInt64BE(BigInt(size), sizeField.at + 4);
    header[sizeField.at] = 0x80;
  }
  encode(`${checksum(header).toString(8).padStart(6, '0')}\0 `).copy(header, 148);
  return header;
}

/** Undefined where this is not a header as it is written here, to the byte. */
export function readTarHeader(header: Buffer): { readonly name: string; readonly size: number } | undefined {
  const end = header.indexOf(0);
  const name = header.toString('latin1', 0, Math.min(end < 0 ? longestName : end, longestName));
  const large = header[sizeField.at] === 0x80;
  const size = large ? Number(header.readBigUInt64BE(sizeField.at + 4)) : parseInt(header.toString('latin1', sizeField.at, sizeField.at + sizeField.length), 8);
  const mtime = parseInt(header.toString('latin1', 136, 147), 8);
  const sound = Number.isSafeInteger(size) && Number.isSafeInteger(mtime) && size >= 0 && tarHeader(name, size, mtime).equals(header);
  return sound ? { name, size } : undefined;
}

/** What fills an entry up to whole blocks. */
export const padding = (size: number): number => (block - (size % block)) % block;
/** What a tar file ends with. */
export const tarEnd = (): Buffer => Buffer.alloc(2 * block);
