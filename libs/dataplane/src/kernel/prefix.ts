/** What a trie of prefixes sees of a key's bytes: the length, and as many bits behind it. */
import { encodeOne } from '../codec.ts';
import { type PolicyKey, policyKey } from '../records.gen.ts';

const lengthBytes = 4;

/** The same key with 0 behind its prefix. The trie takes both for one. */
export function withinPrefix(key: Uint8Array): Uint8Array {
  const bits = new DataView(key.buffer, key.byteOffset).getUint32(0, true);
  return key.map((byte, at) => {
    const taken = at < lengthBytes ? 8 : Math.min(8, Math.max(0, bits - (at - lengthBytes) * 8));
    return byte & (0xff00 >> taken);
  });
}

/** Whether an entry with this key is found for what the other asks. */
export function covers(key: PolicyKey, asked: PolicyKey): boolean {
  const [a, b] = [key, { ...asked, prefixlen: key.prefixlen }].map((one) => withinPrefix(encodeOne(policyKey, one)));
  return Buffer.compare(a as Uint8Array, b as Uint8Array) === 0;
}
