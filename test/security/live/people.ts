import { makeBearer } from '@osier/bus/bearer';
import { authenticatorOf, type Login } from '@osier/bus/login';
import { newUserKey } from '@osier/bus/keys';
import type { Role } from '@osier/contracts/roles';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { type Answer, type Asked, call } from './http.ts';
import type { Live } from './world.ts';

/** A credential as its holder has it: issued at the door, with a key that was made here. */
export interface Person {
  /** `acme/ci`, `platform-ops` */
  readonly path: string;
  /** Last token of its intents. */
  readonly token: string;
  readonly domain: string;
  readonly project: string;
  readonly role: Role;
  readonly node?: string;
  readonly publicKey: string;
  readonly seed: string;
  readonly jwt: string;
}
export interface Facts { readonly name: string; readonly domain?: string; readonly project?: string; readonly role?: Role; readonly node?: string; readonly lastsMs?: number }

export const itemOf = ({ domain, name }: Pick<Facts, 'domain' | 'name'>): string => (domain === undefined ? `/v1/platform-credentials/${name}` : `/v1/domains/${domain}/credentials/${name}`);
export const specOf = ({ project, role, node }: Facts, keys: readonly { publicKey: string; expiresAt: string }[]): Record<string, unknown> =>
  ({ ...(project === undefined ? {} : { project }), ...(role === undefined ? {} : { role }), ...(node === undefined ? {} : { node }), keys });
export const later = (ms: number): string => new Date(Date.now() + ms).toISOString();

const must = (answer: Answer): Answer => {
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return answer;
};

/** As `osier credentials issue` does it. */
export async function issue(live: Live, facts: Facts): Promise<Person> {
  const { name, domain = '_', project = '_', role = 'viewer', node } = facts;
  const { publicKey, seed } = newUserKey();
  must(await live.root('PUT', itemOf(facts), specOf(facts, [{ publicKey, expiresAt: later(facts.lastsMs ?? 3_600_000) }])));
  const { logins } = must(await live.root('GET', `${itemOf(facts)}/logins`)).json<{ logins: { publicKey: string; jwt: string }[] }>();
  const jwt = logins.find((login) => login.publicKey === publicKey)?.jwt ?? '';
  const token = domain === '_' ? `platform-${name}` : name;
  return { path: domain === '_' ? token : `${domain}/${name}`, token, domain, project, role, ...(node === undefined ? {} : { node }), publicKey, seed, jwt };
}

export const bearerOf = ({ path, seed }: Pick<Person, 'path' | 'seed'>, over: Partial<Parameters<typeof makeBearer>[0]> = {}): string =>
  makeBearer({ path, seed, issuedAt: Date.now(), expiresAt: Date.now() + 600_000, ...over });

/** Signs once: what is tried is the door, not its arithmetic. */
export function asker(live: Live, person: Pick<Person, 'path' | 'seed'>) {
  const authorization = `Bearer ${bearerOf(person)}`;
  return (method: string, path: string, asked: Asked = {}): Promise<Answer> => call(live.api.url, method, path, { ...asked, headers: { authorization, ...asked.headers } });
}

/** A plain client, as anybody could write it. Throws where the server does not let it in. */
export function enter(live: Live, who: Login, name = 'guest'): Promise<NatsConnection> {
  return connect({ servers: live.server.url, authenticator: authenticatorOf(() => who), name, timeout: 5_000, reconnect: false });
}
