import type { Random } from './random.ts';

/** One message to be published, again and again under the same id until it is decided. */
export interface Sending {
  readonly id: string;
  readonly subject: string;
  readonly body: string;
  /** The refusal that it must meet whatever else happens. */
  readonly bad?: string;
}
export interface Place { readonly lab: string; readonly nodes: readonly string[] }

export const environments = ['staging', 'production'] as const;
/** Environments that come and go with what is in them. */
export const restless = ['r0', 'r1'] as const;
export const credential = 'operator';
const endpointsEach = 10;
const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, index) => `${prefix}${index}`);
const pools = { policy: names('p', 10), network: names('n', 5), temporary: names('t', 4), project: names('q', 4), endpoint: names('e', endpointsEach) };
/** Ten ranges for five networks of an environment: they often want the same. */
const subnets = Array.from({ length: 10 }, (_, index) => `10.${30 + index}.0.0/24`);

export const namespaceOf = (lab: string, environment: string, endpoint: string): string => `osier-${lab}-x-${environment}.${endpoint}`;
export const allNamespaces = (lab: string): string[] => environments.flatMap((environment) => pools.endpoint.map((name) => namespaceOf(lab, environment, name)));

type Wish = Omit<Sending, 'id'>;
const subject = (project: string, environment: string, noun: string, verb: string): string => ['osier.intent.acme', project, environment, noun, verb, credential].join('.');
const json = (value: unknown): string => JSON.stringify(value);

/** Wishes of all kinds, for few names, so that they meet on the same entities. */
export function traffic(random: Random, place: Place): () => Wish {
  const { pick, below, chance } = random;
  const tags = (): Record<string, string> => ({ chaos: pick(['a', 'b', 'c']) });
  const policySpec = () => ({
    appliesTo: { matchTags: tags() }, priority: 100 + below(5), description: `wish ${below(1_000_000)}`,
    [pick(['ingress', 'egress'])]: [{ name: 'some', action: pick(['Allow', 'Deny']), ports: [{ protocol: pick(['TCP', 'UDP']), port: 1 + below(60_000) }] }],
  });
  const version = (): { expectedVersion?: number } => (chance(0.15) ? { expectedVersion: below(4) } : {});
  const environment = (): string => pick(environments);
  const remove = (project: string, where: string, noun: string, name: string): Wish => ({ subject: subject(project, where, noun, 'delete'), body: json({ name, ...version() }) });
  const apply = (project: string, where: string, noun: string, name: string, spec: unknown): Wish =>
    ({ subject: subject(project, where, noun, 'apply'), body: json({ name, ...version(), spec }) });

  const endpoint = (): Wish => {
    const [where, name] = [environment(), pick(pools.endpoint)];
    const home = place.nodes[Number(name.slice(1)) % place.nodes.length] as string;
    const node = chance(0.05) ? pick(place.nodes) : home;
    const network = chance(0.5) ? 'main' : pick(pools.network);
    return apply('shop', where, 'endpoint', name, { network, node, tags: tags(), attachment: { containerId: namespaceOf(place.lab, where, name), interface: 'eth0' } });
  };
  const refused = bad();
  const described = () => ({ description: `wish ${below(1_000_000)}` });
  const wishes: readonly (readonly [number, () => Wish])[] = [
    [38, () => apply('shop', environment(), 'policy', pick(pools.policy), policySpec())],
    [11, () => remove('shop', environment(), 'policy', pick(pools.policy))],
    [9, () => apply('shop', environment(), 'network', pick(pools.network), { subnets: [pick(subnets)] })],
    [5, () => remove('shop', environment(), 'network', pick(pools.network))],
    [6, endpoint],
    [4, () => remove('shop', environment(), 'endpoint', pick(pools.endpoint))],
    [4, () => apply('shop', '_', 'environment', pick(pools.temporary), described())],
    [3, () => remove('shop', '_', 'environment', pick(pools.temporary))],
    [3, () => apply('_', '_', 'project', pick(pools.project), described())],
    [2, () => remove('_', '_', 'project', pick(pools.project))],
    [1, () => apply('shop', '_', 'environment', pick(restless), described())],
    [1, () => remove('shop', '_', 'environment', pick(restless))],
    [2, () => apply('shop', pick(restless), 'policy', pick(pools.policy), policySpec())],
    [1, () => remove('shop', pick(restless), 'policy', pick(pools.policy))],
    [1, () => apply('shop', pick(restless), 'network', 'n0', { subnets: [pick(subnets)] })],
    [1, () => remove('shop', pick(restless), 'network', 'n0')],
    [8, () => pick(refused)()],
  ];
  const total = wishes.reduce((sum, [weight]) => sum + weight, 0);
  return () => {
    let at = below(total);
    for (const [weight, make] of wishes) if ((at -= weight) < 0) return make();
    throw new Error('no wish');
  };
}

/** One of each kind of what must be refused, whatever the state of anything. */
function bad(): readonly (() => Wish)[] {
  const policy = (body: string, code: string, where = 'staging'): Wish => ({ subject: subject('shop', where, 'policy', 'apply'), body, bad: code });
  const network = (spec: unknown, code: string): Wish => ({ subject: subject('shop', 'staging', 'network', 'apply'), body: json({ name: 'bad', spec }), bad: code });
  return [
    () => policy('{"name": "p0", ', 'not-json'),
    () => policy('', 'not-json'),
    () => policy(json({ name: 'Not A Name', spec: { appliesTo: {} } }), 'invalid'),
    () => policy(json({ name: 'p0', spec: { appliesTo: {} }, more: 1 }), 'unknown-field'),
    () => policy(json({ name: 'p0', spec: { appliesTo: {}, ingress: [{ ports: [{ protocol: 'ICMP', port: 1 }] }] } }), 'port-without-meaning'),
    () => policy(json({ name: 'p0', spec: { appliesTo: {}, ingress: [{ name: 'a' }, { name: 'a' }] } }), 'duplicate-rule-name'),
    () => policy(json({ name: 'p0', spec: { appliesTo: {} } }), 'unknown-environment', 'nowhere'),
    () => policy(json({ name: 'p0', spec: { appliesTo: {} } }), 'wrong-scope', '_'),
    () => policy(json({ name: 'p0', spec: { appliesTo: {}, description: 'x'.repeat(1_100) } }), 'too-long'),
    () => policy(json({ name: 'p0', spec: { appliesTo: {}, description: 'x'.repeat(270_000) } }), 'too-large'),
    () => network({ subnets: ['10.0.0.1/24'] }, 'host-bits-set'),
    () => network({ subnets: ['127.0.0.0/24'] }, 'unusable-subnet'),
    () => network({ subnets: [] }, 'too-few'),
    () => network({ subnets: ['10.20.0.128/25'] }, 'overlapping-subnet'),
    () => ({ subject: subject('shop', 'staging', 'endpoint', 'apply'), body: json({ name: 'bad', spec: { network: 'none', node: 'node-1', attachment: { containerId: 'c' } } }), bad: 'unknown-network' }),
    () => ({ subject: subject('shop', 'staging', 'endpoint', 'apply'), body: json({ name: 'bad', spec: { network: 'main', node: 'nowhere', attachment: { containerId: 'c' } } }), bad: 'unknown-node' }),
    () => ({ subject: subject('shop', '_', 'environment', 'delete'), body: json({ name: 'staging' }), bad: 'in-use' }),
    () => ({ subject: subject('_', '_', 'project', 'delete'), body: json({ name: 'shop' }), bad: 'in-use' }),
    () => ({ subject: subject('none', '_', 'environment', 'apply'), body: json({ name: 'x', spec: {} }), bad: 'unknown-project' }),
  ];
}
