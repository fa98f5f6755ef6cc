import { headers, type NatsConnection } from '@nats-io/transport-node';
import { kinds } from '@osier/contracts/kinds';
import { limits } from '@osier/contracts/limits';
import type { Connection, ConnectionsPart, ConnectionsQuestion, FlowBatch } from '@osier/contracts/telemetry';
import { type Person, enter, issue } from './people.ts';
import { eventually, type Live, startLive } from './world.ts';

/** Names that stand nowhere else, so that finding one of them in an answer is a leak. */
export interface Place { readonly domain: string; readonly project: string; readonly environment: string; readonly network: string; readonly endpoint: string; readonly policy: string; readonly dead: string; readonly intent: string; readonly subnet: string; readonly node: string }
export const shop: Place = { domain: 'acme', project: 'shop', environment: 'staging', network: 'main', endpoint: 'frontend', policy: 'database', dead: 'dead-shop', intent: 'wish-shop', subnet: '10.1.0.0/24', node: 'n1' };
export const blog: Place = { domain: 'acme', project: 'blog', environment: 'preview', network: 'press', endpoint: 'writer', policy: 'readers', dead: 'dead-blog', intent: 'wish-blog', subnet: '10.2.0.0/24', node: 'n1' };
export const vault: Place = { domain: 'rival', project: 'vault', environment: 'hidden', network: 'covert', endpoint: 'mole', policy: 'embargo', dead: 'dead-vault', intent: 'wish-vault', subnet: '10.99.0.0/24', node: 'n2' };
export const places: readonly Place[] = [shop, blog, vault];
export const inside = ({ domain, project, environment }: Place): string => `/v1/domains/${domain}/projects/${project}/environments/${environment}`;

/** Two tenants, one with two projects, two nodes, and everything that there can be of each. */
export interface Land {
  readonly live: Live;
  /** By path: `acme/shop-editor`. */
  readonly people: ReadonlyMap<string, Person>;
  person(path: string): Person;
  /** Ids, keys and addresses of what is in `domain`: nobody can guess them. */
  secrets(domain: string): Promise<string[]>;
  close(): Promise<void>;
}

async function make(live: Live, path: string, spec: unknown, id?: string): Promise<void> {
  const answer = await live.root('PUT', path, spec, id === undefined ? {} : { 'idempotency-key': id });
  if (answer.status !== 200) throw new Error(`PUT ${path}: ${answer.status} ${answer.text}`);
}

async function build(live: Live, place: Place): Promise<void> {
  const base = inside(place);
  await make(live, `/v1/domains/${place.domain}/projects/${place.project}`, {});
  await make(live, base, {});
  await make(live, `${base}/networks/${place.network}`, { subnets: [place.subnet] }, place.intent);
  await make(live, `${base}/endpoints/${place.endpoint}`, { network: place.network, node: place.node, tags: { app: place.endpoint }, attachment: { containerId: `container-of-${place.endpoint}` } });
  await make(live, `${base}/policies/${place.policy}`, { ...kinds.policy.example, appliesTo: { matchTags: { app: place.endpoint } } });
  const [domain, project] = [`/v1/domains/${place.domain}`, `/v1/domains/${place.domain}/projects/${place.project}`];
  await make(live, `${project}/address-groups/${place.policy}`, { cidrs: [place.subnet] });
  const wide = { tier: 'Admin', appliesTo: { matchTags: { app: place.endpoint } } };
  await make(live, `${project}/project-policies/${place.policy}`, { ...wide, ingress: [{ action: 'Deny', from: [{ addressGroup: place.policy }] }] });
  await make(live, `${domain}/domain-policies/${place.policy}`, wide);
  await make(live, `/v1/platform-policies/${place.policy}`, { ...wide, scope: { domains: [place.domain] } });
}

/** A denied connection, as the agent of `node` would report it. */
export const flowsOf = (place: Place, node: string): FlowBatch => {
  const side = (last: string): FlowBatch['flows'][number]['source'] => ({ address: place.subnet.replace(/0\/24$/, last), port: 443, tags: { app: place.endpoint } });
  return {
    node, lost: 0,
    flows: [{
      event: 'denied', at: new Date().toISOString(), environment: place.environment, network: place.network, source: side('7'), destination: side('9'), protocol: 'TCP', verdict: 'denied', reason: 'policy_denied',
      decisions: [], revision: 1, packets: { forward: 1, reply: 0 }, bytes: { forward: 60, reply: 0 }, repeats: 0,
    }],
  };
};

/** As an agent would tell it of itself, were it an endpoint of its own. */
const connectionOf = ({ domain, project, environment, network, endpoint, subnet }: Place): Connection => {
  const side = (last: string): Connection['source'] => ({ address: subnet.replace(/0\/24$/, last), port: 443, endpoint: `${domain}/${project}/${environment}/${endpoint}` });
  const at = new Date().toISOString();
  return { domain, project, environment, network, source: side('7'), destination: side('9'), protocol: 'TCP', state: 'established', since: at, lastPacketAt: at, packets: { forward: 1, reply: 1 }, bytes: { forward: 60, reply: 60 }, decisions: [], revision: 1 };
};
/** A node that tells whoever asks about what, of its own and of all others. */
async function gossip(connection: NatsConnection, node: string): Promise<void> {
  connection.subscribe(`osier.ask.connections.${node}`, {
    callback: (_error, message) => {
      const { id, most } = message.json<ConnectionsQuestion>();
      const part: ConnectionsPart = { id, node, part: 0, last: true, connections: places.map(connectionOf).slice(0, Math.min(most, limits.connectionsPerAnswer)), notTold: 0 };
      connection.publish(`osier.connections.${node}`, JSON.stringify(part));
    },
  });
  await connection.flush();
}

const roles = ['viewer', 'editor', 'approver', 'admin'] as const;

/** What nobody can read ends as a dead letter. */
async function bury(connection: NatsConnection, place: Place, token: string): Promise<void> {
  const h = headers();
  h.set('ce-id', place.dead);
  connection.publish(`osier.intent.${place.domain}.${place.project}.${place.environment}.network.apply.${token}`, `not JSON, but a secret of ${place.network}`, { headers: h });
  await connection.flush();
}

export async function settle(): Promise<Land> {
  const live = await startLive();
  try {
    return await settleIn(live);
  } catch (error) {
    await live.close();
    throw error;
  }
}

async function settleIn(live: Live): Promise<Land> {
  for (const name of ['acme', 'rival']) await make(live, `/v1/domains/${name}`, {});
  for (const [i, name] of ['n1', 'n2'].entries()) await make(live, `/v1/nodes/${name}`, { tunnelEndpoint: `192.0.2.${i + 1}` });
  await Promise.all(places.map((place) => build(live, place)));
  const people = await Promise.all([
    ...roles.map((role) => issue(live, { domain: 'acme', name: role, role })),
    ...roles.map((role) => issue(live, { domain: 'acme', project: 'shop', name: `shop-${role}`, role })),
    issue(live, { domain: 'acme', project: 'blog', name: 'blog-admin', role: 'admin' }),
    issue(live, { domain: 'rival', name: 'spymaster', role: 'admin' }),
    issue(live, { name: 'watch', role: 'viewer' }),
    ...['n1', 'n2'].map((node) => issue(live, { name: `node-${node}`, node })),
  ]);
  const byPath = new Map(people.map((person) => [person.path, person]));
  const person = (path: string): Person => {
    const found = byPath.get(path);
    if (found === undefined) throw new Error(`nobody is called ${path}`);
    return found;
  };
  for (const [path, ...where] of [['acme/admin', shop, blog], ['rival/spymaster', vault]] as const) {
    const connection = await enter(live, person(path));
    for (const place of where) await bury(connection, place, person(path).token);
    await connection.close();
  }
  const gossips = await Promise.all(['n1', 'n2'].map(async (node) => {
    const connection = await enter(live, person(`platform-node-${node}`));
    await gossip(connection, node);
    return connection;
  }));
  for (const place of places) {
    const node = await enter(live, person(`platform-node-${place.node}`));
    node.publish(`osier.flow.${place.domain}.${place.project}.${place.node}`, JSON.stringify(flowsOf(place, place.node)));
    node.publish(`osier.observation.${place.node}.hello`, JSON.stringify({ node: place.node, session: `session-${place.node}`, at: new Date().toISOString() }));
    await node.flush();
    await node.close();
  }
  for (const { domain, project, dead } of places) await eventually(() => live.bus.last('DEAD', `osier.dead.${domain}.${project}.${dead}`));
  for (const node of ['n1', 'n2']) await eventually(() => live.bus.consumer('STATE', `node-${node}`));
  return {
    live, people: byPath, person,
    secrets: async (domain) => {
      const found = new Set<string>();
      for await (const message of live.bus.read({ stream: 'STATE' })) {
        const [, , at, , , , , id = ''] = message.subject.split('.');
        if (at !== domain) continue;
        found.add(id);
        for (const [word] of new TextDecoder().decode(message.data).matchAll(/U[A-Z2-7]{55}|\b10\.\d+\.\d+\.\d+\b|\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g)) found.add(word);
      }
      return [...found];
    },
    close: async () => {
      await Promise.all(gossips.map((connection) => connection.close()));
      await live.close();
    },
  };
}
