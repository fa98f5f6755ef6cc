// A large installation, made the way any is: intents over NATS, by a plain client, each outcome waited for.
import { headers as natsHeaders, type NatsConnection } from '@nats-io/transport-node';

export interface Size { readonly environments: number; readonly networks: number; readonly endpoints: number; readonly nodes: number }
export interface Wish { readonly scope: readonly [domain: string, project: string, environment: string]; readonly noun: string; readonly verb?: string; readonly name: string; readonly spec?: object; readonly id: string }

const atOnce = 256;
const project = ['acme', 'shop'] as const;
export const environment = (n: number): string => `env-${n}`;

/** Publishes intents, and knows what became of each. */
export class Publisher {
  readonly #nats: NatsConnection;
  readonly outcomes = new Map<string, number>();
  readonly refused = new Set<string>();
  readonly wished = new Set<string>();

  constructor(nats: NatsConnection) {
    this.#nats = nats;
    nats.subscribe('osier.outcome.>', {
      callback: (_error, message) => {
        const id = message.subject.split('.')[4] ?? '';
        this.outcomes.set(id, (this.outcomes.get(id) ?? 0) + 1);
        if (message.json<{ result: string }>().result === 'refused') this.refused.add(id);
      },
    });
  }
  async publish({ scope, noun, verb = 'apply', name, spec, id }: Wish): Promise<void> {
    const headers = natsHeaders();
    headers.set('ce-id', id);
    const answer = await this.#nats.request(`osier.intent.${scope.join('.')}.${noun}.${verb}.operator`, JSON.stringify({ name, ...(spec ? { spec } : {}) }), { timeout: 10_000, headers });
    if (typeof answer.json<{ seq?: number }>().seq !== 'number') throw new Error(`not stored: ${id}`);
    this.wished.add(id);
  }
  /** All of them stored, then all of them decided. */
  async all(wishes: readonly Wish[], withinMs = 400_000): Promise<void> {
    for (let at = 0; at < wishes.length; at += atOnce) await Promise.all(wishes.slice(at, at + atOnce).map((wish) => this.publish(wish)));
    await this.decided(wishes.map(({ id }) => id), withinMs);
  }
  async decided(ids: Iterable<string>, withinMs = 120_000): Promise<void> {
    const waiting = new Set(ids);
    for (const until = Date.now() + withinMs; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
      for (const id of waiting) if (this.outcomes.has(id)) waiting.delete(id);
      if (waiting.size === 0) return;
      if (Date.now() > until) throw new Error(`${waiting.size} intents are not decided, such as ${[...waiting].slice(0, 3).join(', ')}`);
    }
  }
}

export const endpointWish = (size: Size, n: number, more: Partial<Wish> = {}): Wish => {
  const network = n % size.networks;
  return {
    scope: [...project, environment(network % size.environments)], noun: 'endpoint', name: `e${n}`, id: `endpoint-${n}`,
    spec: { network: `net-${network}`, node: `node-${n % size.nodes}`, tags: { app: `app-${n % 10}` }, attachment: { containerId: `container-${n}` } }, ...more,
  };
};

/** Everything that an installation of this size has: also what was changed, taken away and refused. */
export async function build(publisher: Publisher, size: Size): Promise<void> {
  const many = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));
  await publisher.all([{ scope: ['_', '_', '_'], noun: 'domain', name: 'acme', spec: {}, id: 'domain' }, ...many(size.nodes, (n): Wish => ({ scope: ['_', '_', '_'], noun: 'node', name: `node-${n}`, spec: { tunnelEndpoint: `192.0.2.${n + 1}` }, id: `node-${n}` }))]);
  await publisher.all([{ scope: ['acme', '_', '_'], noun: 'project', name: 'shop', spec: {}, id: 'project' }]);
  await publisher.all(many(size.environments, (n) => ({ scope: [...project, '_'], noun: 'environment', name: environment(n), spec: {}, id: `environment-${n}` })));
  await publisher.all(many(size.networks, (n) => {
    const within = Math.floor(n / size.environments);
    return { scope: [...project, environment(n % size.environments)], noun: 'network', name: `net-${n}`, spec: { subnets: [`10.${within >> 8}.${within & 255}.0/24`] }, id: `network-${n}` };
  }));
  const policy = (n: number, id: string, port: number): Wish => ({
    scope: [...project, environment(n % size.environments)], noun: 'policy', name: `policy-${n}`, id,
    spec: { appliesTo: { matchTags: { app: `app-${n % 10}` } }, ingress: [{ name: 'some', from: [{ endpoints: { matchTags: { app: `app-${(n + 3) % 10}` } } }], ports: [{ protocol: 'TCP', port }] }] },
  });
  await publisher.all(many(size.environments * 5, (n) => policy(n, `policy-${n}`, 5_432)));
  await publisher.all(many(size.endpoints, (n) => endpointWish(size, n)));
  await publisher.all([
    ...many(size.environments, (n) => policy(n, `policy-${n}-again`, 8_080)),
    ...many(Math.ceil(size.endpoints / 100), (n): Wish => ({ scope: endpointWish(size, n * 7).scope, noun: 'endpoint', verb: 'delete', name: `e${n * 7}`, id: `endpoint-${n * 7}-delete` })),
    ...many(20, (n): Wish => ({ scope: [...project, environment(0)], noun: 'network', name: `bad-${n}`, spec: { subnets: ['10.0.0.0/16'] }, id: `refused-${n}` })),
  ]);
}
