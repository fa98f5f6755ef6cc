// The one place that says which outside programs Osier needs.

/** Oldest nats-server that works: several filter subjects per consumer (2.10) and the 2.10.23 data-loss fix. */
export const NATS_MINIMUM = '2.10.23';
/** Built from source where no package is new enough and Go is present. */
export const NATS_GO_VERSION = '2.10.27';
/** Debian release whose nats-server package is new enough; its binary needs only libc 2.34. */
export const NATS_DEBIAN_SUITE = 'trixie';
export const NODE_MINIMUM = 20;
/** What the programs under test need on the machine: how to see it is there, and the Debian package that brings it. */
export const MACHINE_NEEDS = [
  { package: 'iproute2', command: 'ip' },
  { package: 'libbpf1', library: 'libbpf.so.1' },
];

/** Debian's PostgreSQL, for tests only. */
export const POSTGRES_PACKAGE = 'postgresql';

/** Compares dotted versions number by number: negative, zero or positive like a sort comparator. */
export function compareVersions(a, b) {
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
