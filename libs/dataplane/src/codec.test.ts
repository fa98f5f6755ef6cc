import { describe, expect, it } from '@jest/globals';
import { decodeOne, encodeOne, FieldError } from './codec.ts';
import { addressKey, endpointRecord, flowEvent, policyKey } from './records.gen.ts';

const key = { prefixlen: 96, policy: 0x01020304, peer: 5, direction: 2 as const, protocol: 6, port: 0x1f90 };

describe('a generated codec', () => {
  it('writes what the programs read: little endian, ports in network order', () => {
    expect([...encodeOne(policyKey, key)]).toEqual([96, 0, 0, 0, 4, 3, 2, 1, 5, 0, 0, 0, 2, 6, 0x1f, 0x90]);
  });

  it('reads what it wrote', () => {
    expect(decodeOne(policyKey, encodeOne(policyKey, key))).toEqual(key);
    const endpoint = { rd: 1, network: 2, policy: [3, 4] as [number, number], address: new Uint8Array(16).fill(5), mac: new Uint8Array(6).fill(6), flags: 65535, shadow: [7, 0] as [number, number] };
    expect(decodeOne(endpointRecord, encodeOne(endpointRecord, endpoint))).toEqual(endpoint);
  });

  it('keeps 64 bits', () => {
    const event = { ...decodeOne(flowEvent, new Uint8Array(flowEvent.size)), bytes: [2n ** 64n - 1n, 1n] as [bigint, bigint] };
    expect(decodeOne(flowEvent, encodeOne(flowEvent, event)).bytes).toEqual([2n ** 64n - 1n, 1n]);
  });

  it('decodes inside a larger buffer without touching it again', () => {
    const bytes = new Uint8Array(64).fill(9);
    const decoded = decodeOne(addressKey, bytes.subarray(8, 8 + addressKey.size));
    bytes.fill(0);
    expect(decoded).toEqual({ rd: 0x09090909, address: new Uint8Array(16).fill(9) });
  });

  it.each([
    ['a number that does not fit', { ...key, protocol: 256 }, 'protocol'],
    ['a negative number', { ...key, peer: -1 }, 'peer'],
    ['not a number', { ...key, policy: Number.NaN }, 'policy'],
  ])('refuses %s and names the field', (_name, value, field) => {
    expect(() => encodeOne(policyKey, value)).toThrow(FieldError);
    expect(() => encodeOne(policyKey, value)).toThrow(expect.objectContaining({ field }));
  });
});
