import { describe, expect, it } from '@jest/globals';
import { formatIpv4, formatPrefix, fromMapped16, hasHostBits, mapped16, overlaps, parseIpv4, parsePrefix, prefixContains, type Prefix } from './ipv4.ts';

const prefix = (text: string): Prefix => parsePrefix(text) as Prefix;

describe('an IPv4 address', () => {
  it.each([
    ['0.0.0.0', 0], ['10.0.0.7', 0x0a000007], ['127.0.0.1', 0x7f000001], ['192.0.2.11', 0xc000020b], ['255.255.255.255', 0xffffffff],
  ])('%s is a number and back', (text, number) => {
    expect(parseIpv4(text)).toBe(number);
    expect(formatIpv4(number)).toBe(text);
    expect(fromMapped16(mapped16(text))).toBe(text);
  });

  it.each(['', '10.0.0', '10.0.0.0.0', '010.0.0.1', '10.0.0.256', '10.0.0.-1', '10.0.0. 1', '10.0.0.1\n', '0x0a.0.0.1', '1e1.0.0.1', '::ffff:10.0.0.1'])('%j is none', (text) => {
    expect(parseIpv4(text)).toBeUndefined();
  });

  it('is mapped into IPv6 in network byte order', () => {
    expect([...mapped16('10.0.0.7')]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 7]);
    expect(() => mapped16('nonsense')).toThrow(RangeError);
  });

  it('is read from the middle of a larger record', () => {
    const record = new Uint8Array(24);
    record.set(mapped16('192.0.2.1'), 4);
    expect(fromMapped16(record.subarray(4, 20))).toBe('192.0.2.1');
    expect(fromMapped16(record.subarray(3, 19))).toBeUndefined();
  });
});

describe('a prefix', () => {
  it.each([
    ['10.0.0.0/24', '10.0.0.0', '10.0.0.255'], ['0.0.0.0/0', '0.0.0.0', '255.255.255.255'], ['10.0.0.7/32', '10.0.0.7', '10.0.0.7'],
    ['192.168.128.0/17', '192.168.128.0', '192.168.255.255'], ['255.255.255.254/31', '255.255.255.254', '255.255.255.255'],
  ])('%s reaches from %s to %s', (text, first, last) => {
    expect([formatIpv4(prefix(text).first), formatIpv4(prefix(text).last)]).toEqual([first, last]);
    expect(formatPrefix(prefix(text))).toBe(text);
    expect(hasHostBits(text)).toBe(false);
  });

  it.each(['10.0.0.0', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/8/8', '10.0.0/8'])('%j is none', (text) => {
    expect(parsePrefix(text)).toBeUndefined();
  });

  it('tells host bits', () => {
    expect(hasHostBits('10.0.0.7/24')).toBe(true);
    expect(formatPrefix(prefix('10.0.0.7/24'))).toBe('10.0.0.0/24');
  });

  it.each([
    ['10.0.0.0/24', '10.0.0.0/24', true], ['10.0.0.0/8', '10.1.2.0/24', true], ['10.1.2.0/24', '10.0.0.0/8', true],
    ['10.0.0.0/25', '10.0.0.128/25', false], ['10.0.0.0/24', '10.0.1.0/24', false], ['0.0.0.0/0', '255.255.255.255/32', true],
  ])('%s and %s overlap: %s', (a, b, expected) => {
    expect(overlaps(prefix(a), prefix(b))).toBe(expected);
  });

  it('contains its borders and nothing beyond', () => {
    const p = prefix('10.0.1.0/24');
    const inside = (text: string): boolean => prefixContains(p, parseIpv4(text) as number);
    expect([inside('10.0.0.255'), inside('10.0.1.0'), inside('10.0.1.255'), inside('10.0.2.0')]).toEqual([false, true, true, false]);
  });
});
