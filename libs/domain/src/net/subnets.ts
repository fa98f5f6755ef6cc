import { type Decision, refuse } from '../decision.ts';
import { formatPrefix, hasHostBits, overlaps, parsePrefix, type Prefix } from './ipv4.ts';

const prefix = (text: string): Prefix => {
  const parsed = parsePrefix(text);
  if (!parsed) throw new RangeError(`not an IPv4 prefix: ${text}`);
  return parsed;
};

/** Ranges that no host of a network can have (RFC 6890): this host, loopback, link-local, multicast, reserved and broadcast. */
const unusable: readonly (readonly [Prefix, string])[] = [
  [prefix('0.0.0.0/8'), '"this network"'], [prefix('127.0.0.0/8'), 'loopback'], [prefix('169.254.0.0/16'), 'link-local addresses'],
  [prefix('224.0.0.0/4'), 'multicast'], [prefix('240.0.0.0/4'), 'reserved addresses and broadcast'],
];
export const unusableFor = (range: Prefix): string | undefined => unusable.find(([special]) => overlaps(special, range))?.[1];

/** Another network's subnets, with the words by which a person knows it. */
export interface Neighbour { readonly path: string; readonly subnets: readonly string[] }

/** Refuses subnets that are no prefixes, lie in special ranges, or overlap each other or a neighbour's. The texts have passed the schema. */
export function subnetProblem(subnets: readonly string[], neighbours: readonly Neighbour[]): Decision | undefined {
  for (const [index, text] of subnets.entries()) {
    const at = `spec.subnets[${index}]`;
    const range = prefix(text);
    if (hasHostBits(text)) {
      return refuse('host-bits-set', at, `${text} has bits set beyond its length of ${range.length}.`, `Write ${formatPrefix(range)}.`);
    }
    const special = unusableFor(range);
    if (special) return refuse('unusable-subnet', at, `${text} overlaps the range of ${special}, which no endpoint can have.`, 'Choose another range, such as one within 10.0.0.0/8.');
    const earlier = subnets.slice(0, index).find((other) => overlaps(prefix(other), range));
    if (earlier) return refuse('overlapping-subnet', at, `${text} overlaps ${earlier} of the same network.`, `Remove one of ${earlier} and ${text}.`);
    for (const neighbour of neighbours) {
      const theirs = neighbour.subnets.find((other) => overlaps(prefix(other), range));
      if (theirs) {
        return refuse('overlapping-subnet', at, `${text} overlaps ${theirs} of network ${neighbour.path}; within an environment an address has one meaning.`,
          `Choose a range that does not overlap ${theirs}, or another environment.`);
      }
    }
  }
  return undefined;
}
