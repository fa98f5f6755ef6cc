/** Numbers from first to last, both in it. */
export interface Range { readonly first: number; readonly last: number }
/** Ports of several protocols. */
export interface PortRange extends Range { readonly protocol: string }

/** All that rules of any kind can name, and what "every port" is about. */
export const protocols: readonly string[] = ['TCP', 'UDP', 'SCTP', 'ICMP'];

/** Sorted, and what touches joined. */
export function joined(ranges: readonly Range[]): Range[] {
  const found: Range[] = [];
  for (const { first, last } of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = found.at(-1);
    if (before !== undefined && first <= before.last + 1) found[found.length - 1] = { first: before.first, last: Math.max(before.last, last) };
    else found.push({ first, last });
  }
  return found;
}

export function within(ranges: readonly Range[], of: readonly Range[]): Range[] {
  return joined(ranges.flatMap((a) => of.flatMap((b) => {
    const [first, last] = [Math.max(a.first, b.first), Math.min(a.last, b.last)];
    return first <= last ? [{ first, last }] : [];
  })));
}

const spaceOf = (protocol: string): Range => ({ first: protocol === 'ICMP' ? 0 : 1, last: 65_535 });

export function without(protocol: string, ranges: readonly Range[]): Range[] {
  let { first } = spaceOf(protocol);
  const left: Range[] = [];
  for (const range of joined(ranges)) {
    if (range.first > first) left.push({ first, last: range.first - 1 });
    first = range.last + 1;
  }
  return first <= spaceOf(protocol).last ? [...left, { first, last: spaceOf(protocol).last }] : left;
}

const rangeText = (protocol: string, { first, last }: Range): string => {
  const number = (value: number): string => (protocol === 'ICMP' ? `${value >> 8}.${value & 255}` : String(value));
  return first === last ? number(first) : `${number(first)}-${number(last)}`;
};

/** `TCP/5432, UDP/53`, `every port`, `every port but TCP/5432`: whichever is shorter. ICMP by type.code. */
export function portsText(ports: readonly PortRange[], protocols: readonly string[]): string {
  const of = (protocol: string): Range[] => joined(ports.filter((port) => port.protocol === protocol));
  const list = (ranges: (protocol: string) => Range[]): string[] => protocols.flatMap((protocol) => {
    const mine = ranges(protocol);
    return mine.length === 0 ? [] : without(protocol, mine).length === 0 ? [protocol] : mine.map((range) => `${protocol}/${rangeText(protocol, range)}`);
  });
  const [named, missing] = [list(of), list((protocol) => without(protocol, of(protocol)))];
  if (missing.length === 0) return 'every port';
  return missing.length < named.length || (missing.length === named.length && named.some((text) => text.includes('-'))) ? `every port but ${missing.join(', ')}` : named.join(', ');
}
