import { createHash } from 'node:crypto';
import type { Scope } from '@osier/contracts/document';
import { type GroupKind, groupKinds, kinds, type PolicyKind, policyKinds, type Spec } from '@osier/contracts/kinds';
import type { Tags } from '@osier/contracts/names';
import { parseAddress } from '../src/net/address.ts';
import type { Entry, Layer } from '../src/policy/compile.ts';
import { tierOfTurn } from '../src/policy/order.ts';
import type { Direction, Member, Policy } from '../src/policy/model.ts';
import { groupsOf } from '../src/rules/groups.ts';
import type { Party } from '../src/rules/model.ts';
import { isWithin, osierParty, osierPolicy, type OsierPolicy, scopeTagsOf } from '../src/rules/osier.ts';
import { type Random, randomOf } from './reach/random.ts';

/** Random policies and endpoints in Osier's documents, and what the kernel would look up. */
export const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
export const environment = 'acme/shop/staging';

export type PolicyDocument = OsierPolicy & { readonly id: string; readonly name: string };
export interface GroupDocument { readonly kind: GroupKind; readonly name: string; readonly spec: Spec<GroupKind> }
export interface Endpoint { readonly name: string; readonly spec: Spec<'endpoint'> }
/** Of the project acme/shop, and of the environments in it. */
export interface World { readonly policies: readonly PolicyDocument[]; readonly groups: readonly GroupDocument[]; readonly endpoints: readonly Endpoint[] }

const scopes: Readonly<Record<PolicyKind, Scope>> = {
  policy: { domain: 'acme', project: 'shop', environment: 'staging' }, 'project-policy': { domain: 'acme', project: 'shop', environment: '_' },
  'domain-policy': { domain: 'acme', project: '_', environment: '_' }, 'platform-policy': { domain: '_', project: '_', environment: '_' },
};
export const policyOfKind = (kind: PolicyKind, name: string, spec: object, id = `id-${name}`): PolicyDocument => {
  const path = [...Object.values(scopes[kind]).filter((token) => token !== '_'), name].join('/');
  return { kind, ...scopes[kind], id, name, path, spec: kinds[kind].spec.parse(spec) } as PolicyDocument;
};
export const policy = (name: string, spec: Partial<Spec<'policy'>>): PolicyDocument => policyOfKind('policy', name, { appliesTo: {}, ...spec });
export const endpoint = (name: string, tags: Tags, more: Partial<Spec<'endpoint'>> = {}): Endpoint =>
  ({ name, spec: kinds.endpoint.spec.parse({ network: 'main', node: 'n', tags, attachment: { containerId: 'c' }, address: '10.0.0.1', ...more }) });

export const partyOf = ({ name, spec }: Endpoint, within = environment): Party => osierParty({ path: `${within}/${name}`, environment: within, spec });
export const memberOf = (of: Endpoint): Member => {
  const { name, scope, tags, ports } = partyOf(of);
  return { name, scope, tags, ports, scopeTags: scopeTagsOf(scope), addresses: [parseAddress(of.spec.address ?? '')].flatMap((address) => address ?? []) };
};
/** As if its shadow policies were in force. */
export const promoted = <W extends Pick<World, 'policies'>>(world: W): W => ({ ...world, policies: world.policies.map((one) => ({ ...one, spec: { ...one.spec, mode: 'enforced' } }) as PolicyDocument) });
export const inForce = (policies: readonly Policy[]): Policy[] => policies.filter(({ shadow }) => shadow !== true);
/** The policies as they are in the environment. */
export function modelOf({ policies, groups }: Pick<World, 'policies' | 'groups'>, within = environment): Policy[] {
  const known = groupsOf('acme/shop', <K extends GroupKind>(kind: K, name: string) => groups.find((group) => group.kind === kind && group.name === name)?.spec as Spec<K> | undefined);
  return policies.filter((document) => isWithin(document, within)).map((document) => ({ ...osierPolicy(document, known), id: document.id }));
}

/** As `bpf/policy.h` does it: in each layer the longest prefix for the exact peer and for any, of these the one whose turn comes first; of each tier the first; and the first tier that does not pass. */
export function lookUp(layers: readonly (Layer | undefined)[], direction: Direction, peer: string, protocol: number, port: number): Entry | undefined {
  const bits = ({ region }: Entry): number => (region.protocol === undefined ? 72 : region.port === undefined ? 80 : 80 + (region.bits ?? 16));
  const covers = ({ region }: Entry): boolean => {
    const free = 16 - (region.bits ?? 16);
    return (region.protocol ?? protocol) === protocol && (region.port === undefined || region.port >> free === port >> free);
  };
  const before = (a: Entry, b: Entry): number => (a.turn < b.turn ? -1 : a.turn > b.turn ? 1 : a.place - b.place);
  const found = layers.flatMap((layer) => {
    if (layer === undefined) throw new Error('a slot without a layer');
    const longest = (who: string | undefined): Entry[] => layer.entries.filter((e) => e.direction === direction && e.peer === who && covers(e)).sort((a, b) => bits(b) - bits(a)).slice(0, 1);
    return [...longest(peer), ...longest(undefined)].sort(before).slice(0, 1);
  });
  const tiers = [...new Set(found.map(({ turn }) => tierOfTurn(turn)))].sort((a, b) => a - b);
  return tiers.map((tier) => found.filter(({ turn }) => tierOfTurn(turn) === tier).sort(before)[0]).find((first) => first?.action !== 'Pass');
}
/** Of a kernel's: some tests have programs of more policies than fit. */
export const room = 10;

/** mulberry32: small, seeded, good enough to wander. */
export function random(seed: number): (below: number) => number {
  const { int } = randomOf(seed);
  return int;
}

export const keys = ['app', 'tier', 'zone'];
export const values = ['a', 'b', 'c'];
export const numberOf = { TCP: 6, UDP: 17, SCTP: 132, ICMP: 1 } as const;
/** Protocols and ports at and beside the borders of what rules name. */
export const asked = [
  ['TCP', 80], ['TCP', 81], ['TCP', 443], ['TCP', 8000], ['TCP', 8011], ['TCP', 8080], ['TCP', 8081], ['TCP', 9], ['TCP', 0xffff], ['UDP', 80], ['UDP', 53], ['UDP', 8080], ['SCTP', 80], ['SCTP', 443],
  ['ICMP', 8 << 8], ['ICMP', (3 << 8) | 4], ['ICMP', 3 << 8],
] as const;
const groupNames = ['g1', 'g2'];

export function selectorOf(r: Random): Spec<'policy'>['appliesTo'] {
  switch (r.int(6)) {
    case 0: return {};
    case 1: return { matchExpressions: [{ key: r.pick(keys), operator: r.pick(['Exists', 'DoesNotExist'] as const) }] };
    case 2: return { matchExpressions: [{ key: r.pick(keys), operator: r.pick(['In', 'NotIn'] as const), values: [r.pick(values), r.pick(values)] }] };
    case 3: return { matchTags: { [r.pick(keys)]: r.pick(values), [r.pick(keys)]: r.pick(values) } };
    default: return { matchTags: { [r.pick(keys)]: r.pick(values) } };
  }
}
const portsOf = (r: Random): object => {
  switch (r.int(7)) {
    case 0: return { protocol: r.pick(['TCP', 'UDP', 'SCTP']), port: 80, endPort: r.pick([80, 81, 443, 0xffff]) };
    case 1: return { protocol: 'TCP', port: r.pick([1, 8000, 8001]), endPort: r.pick([8010, 8011, 8080]) };
    case 2: return { protocol: r.pick(['TCP', 'UDP']), portName: r.pick(['web', 'dns']) };
    case 3: return r.pick([{ protocol: 'ICMP' }, { protocol: 'ICMP', type: 8 }, { protocol: 'ICMP', type: 3, code: 4 }, { protocol: 'ICMP', type: 3 }]);
    default: return { protocol: r.pick(['TCP', 'TCP', 'UDP', 'SCTP']), ...(r.chance(70) ? { port: r.pick([80, 443, 8080, 53]) } : {}) };
  }
};
const some = <T>(r: Random, one: () => T): T[] => Array.from({ length: 1 + r.int(2) }, one);
/** Addresses end in 1 to 6. */
const cidrs = ['10.0.0.0/29', '10.0.0.0/30', '10.0.0.2/31', '10.0.0.4/32', '0.0.0.0/0', '10.0.1.0/24'];

export function groupOf(r: Random, kind: GroupKind, name: string): GroupDocument {
  const spec = kind === 'endpoint-group' ? { endpoints: some(r, () => selectorOf(r)) }
    : kind === 'address-group' ? { cidrs: r.chance(20) ? cidrs.slice(0, 5) : some(r, () => r.pick(cidrs)), ...(r.chance(40) ? { except: some(r, () => r.pick(cidrs.slice(1, 4))) } : {}) }
      : { ports: some(r, () => portsOf(r)) };
  return { kind, name, spec: kinds[kind].spec.parse(spec) };
}

/** `id`: a policy of this id is of one kind and name for ever. */
export function randomPolicy(r: Random, kind: PolicyKind, name: string): PolicyDocument {
  const mayName = kind === 'policy' || kind === 'project-policy';
  const peer = (): object => {
    switch (r.int(mayName ? 9 : 7)) {
      case 0: return { endpoints: selectorOf(r), matchSame: r.some(keys, 40).concat('app') };
      case 1: return { matchSame: [r.pick(keys)] };
      case 2: return { cidr: r.pick(cidrs), ...(r.chance(40) ? { except: [r.pick(cidrs.slice(1, 4))] } : {}) };
      case 7: return { endpointGroup: r.pick(groupNames) };
      case 8: return { addressGroup: r.pick(groupNames) };
      default: return { endpoints: selectorOf(r) };
    }
  };
  const rules = (side: string): object[] => Array.from({ length: r.int(4) }, () => ({
    action: r.pick(['Allow', 'Allow', 'Deny', 'Pass']),
    ...(r.chance(65) ? { ports: some(r, () => (mayName && r.chance(15) ? { serviceGroup: r.pick(groupNames) } : portsOf(r))) } : {}),
    ...(r.chance(65) ? { [side]: some(r, peer) } : {}),
  }));
  const narrow = kind === 'policy' ? (r.chance(25) ? { isolates: r.some(['ingress', 'egress'], 50) } : {})
    : { tier: r.pick(['Admin', 'Baseline']), ...(kind !== 'platform-policy' && r.chance(30) ? { scope: { environments: r.pick([['staging'], ['production'], ['staging', 'production']]) } } : {}) };
  return policyOfKind(kind, name, {
    appliesTo: selectorOf(r), ...r.pick([{ priority: 10, liveConnections: 'keep' }, { priority: 1000 }, { priority: 1000 }, { priority: 2000, liveConnections: 'drain' }]), ...narrow, ...(r.chance(15) ? { mode: 'shadow' } : {}),
    ...(r.chance(65) ? { ingress: rules('from') } : {}), ...(r.chance(50) ? { egress: rules('to') } : {}),
  });
}
export function randomEndpoint(r: Random, name: string): Endpoint {
  return endpoint(name, Object.fromEntries(r.some(keys, 66).map((key) => [key, r.pick(values)])), {
    network: r.chance(88) ? 'main' : 'other', address: `10.0.0.${1 + r.int(6)}`,
    ...(r.chance(50) ? { ports: r.some([{ name: 'web', protocol: 'TCP' as const, port: r.pick([80, 8080]) }, { name: 'dns', protocol: 'UDP' as const, port: 53 }, { name: 'web', protocol: 'UDP' as const, port: 80 }], 60) } : {}),
  });
}
/** Half of the worlds know only what is oldest: policies of the environment. */
export function randomWorld(seed: number): World {
  const r = randomOf(seed);
  const wide = r.chance(60);
  return {
    policies: Array.from({ length: r.chance(15) ? 14 : r.int(7) }, (_, i) => randomPolicy(r, wide && r.chance(50) ? r.pick(policyKinds) : 'policy', `p${i}`)),
    groups: groupKinds.flatMap((kind) => groupNames.filter(() => r.chance(85)).map((name) => groupOf(r, kind, name))),
    endpoints: Array.from({ length: 6 }, (_, i) => randomEndpoint(r, `e${i}`)),
  };
}
