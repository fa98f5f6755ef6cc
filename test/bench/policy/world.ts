import type { Spec } from '@osier/contracts/kinds';

/**
 * A made-up environment, the same for the same size: each network is one application of five tiers, each of which talks to the next; its endpoints are
 * spread over its nodes. Three tags lie across all of them, carried by 1 of 100, by 1 of 10, and by every one.
 */
export interface Size {
  readonly networks: number;
  readonly perNetwork: number;
  readonly nodes: number;
  readonly policies: number;
  /** Nodes that the endpoints of one network are spread over; absent: all. */
  readonly nodesPerNetwork?: number;
  readonly seed?: number;
}
export interface Thing<K extends 'network' | 'endpoint' | 'policy' | 'node' | 'address-group'> { readonly name: string; readonly spec: Spec<K> }
export interface World {
  readonly nodes: readonly Thing<'node'>[];
  readonly networks: readonly Thing<'network'>[];
  readonly endpoints: readonly Thing<'endpoint'>[];
  readonly policies: readonly Thing<'policy'>[];
}

export const tiers = ['edge', 'web', 'api', 'cache', 'database'] as const;
/** Key of a tag, and of how many endpoints one carries it. */
export const wide = { pci: 100, backup: 10, managed: 1 } as const;
export const nodeName = (n: number): string => `node-${n + 1}`;
const app = (n: number): string => `app-${n}`;

/** mulberry32. */
export function random(seed: number): (below: number) => number {
  let a = seed;
  return (below) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

export function world(size: Size): World {
  const next = random(size.seed ?? 1);
  const spread = size.nodesPerNetwork ?? size.nodes;
  const endpoints = Array.from({ length: size.networks }, (_, network) => Array.from({ length: size.perNetwork }, (__, k): Thing<'endpoint'> => {
    // Each tag once in so many of the network, in turn over the tiers.
    const tags = { app: app(network), tier: tiers[k % tiers.length] as string, release: `r${next(5)}`, ...Object.fromEntries(Object.entries(wide).filter(([, one]) => k % one === network % one).map(([key]) => [key, 'yes'])) };
    return { name: `e-${network}-${k}`, spec: { network: `net-${network}`, node: nodeName((network * spread + next(spread)) % size.nodes), tags, attachment: { containerId: `c-${network}-${k}`, interface: 'eth0' } } };
  })).flat();
  return {
    nodes: Array.from({ length: size.nodes }, (_, n) => ({ name: nodeName(n), spec: { tunnelEndpoint: `192.0.${2 + (n >> 8)}.${n & 255}` } })),
    networks: Array.from({ length: size.networks }, (_, n) => ({ name: `net-${n}`, spec: { subnets: [`10.${n >> 8}.${n & 255}.0/24`] } })),
    endpoints, policies: Array.from({ length: size.policies }, (_, n) => policy(n, size.networks)),
  };
}

/** By turns: who may call a tier, whom it may call. The first three also let a tag in from anywhere. */
function policy(n: number, networks: number): Thing<'policy'> {
  const [network, turn] = [n % networks, Math.floor(n / networks)];
  const tier = (at: number): Record<string, string> => ({ app: app(network), tier: tiers[(at + tiers.length) % tiers.length] as string });
  const at = (turn >> 1) % tiers.length;
  const port = 8_000 + turn;
  const everywhere = Object.keys(wide)[n];
  const spec: Spec<'policy'> = turn % 2 === 0
    ? { appliesTo: { matchTags: tier(at) }, priority: 1000, ingress: [
      { name: 'from-before', action: 'Allow', from: [{ endpoints: { matchTags: tier(at - 1) } }], ports: [{ protocol: 'TCP', port }] },
      ...(everywhere === undefined ? [] : [{ name: 'from-tag', action: 'Allow' as const, from: [{ endpoints: { matchTags: { [everywhere]: 'yes' } } }], ports: [{ protocol: 'TCP' as const, port: 9_100 }] }]),
    ] }
    : { appliesTo: { matchTags: tier(at) }, priority: 1000, egress: [{ name: 'to-next', action: 'Allow', to: [{ endpoints: { matchTags: tier(at + 1) } }], ports: [{ protocol: 'TCP', port: port - 1 + 2 }] }] };
  return { name: `p-${n}`, spec };
}

/** A policy for whoever carries the tag, with so many rules. */
export const ruled = (tag: keyof typeof wide, rules: number): Thing<'policy'> => ({
  name: `of-${tag}`,
  spec: {
    appliesTo: { matchTags: { [tag]: 'yes' } }, priority: 900, isolates: [],
    ingress: Array.from({ length: rules }, (_, n) => ({ name: `rule-${n}`, action: 'Allow' as const, from: [{ endpoints: { matchTags: { app: app(0), tier: tiers[0] } } }], ports: [{ protocol: 'TCP' as const, port: 20_000 + n }] })),
  },
});

/** Lets in whom a group of addresses holds, and whoever carries a tag that nobody carries at first. */
export const lettingIn = (name: string, peer: { addressGroup: string } | { tag: string }): Thing<'policy'> => ({
  name,
  spec: {
    appliesTo: { matchTags: { managed: 'yes' } }, priority: 900, isolates: [],
    ingress: [{ action: 'Allow', from: ['tag' in peer ? { endpoints: { matchTags: { [peer.tag]: 'yes' } } } : peer], ports: [{ protocol: 'TCP', port: 21_000 }] }],
  },
});
/** So many of the first addresses of the first network. */
export const membersOf = (count: number): Thing<'address-group'> => ({ name: 'members', spec: { cidrs: Array.from({ length: count }, (_, n) => `10.0.0.${2 + n}/32`) } });
