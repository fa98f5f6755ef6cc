import { writeFileSync } from 'node:fs';
import type { UserKey } from '@osier/bus/keys';
import { credsText } from '@osier/bus/login';
import { platformScope, type Scope } from '@osier/contracts/document';
import { limits } from '@osier/contracts/limits';
import { type Client, inParallel } from './client.ts';
import { readJson } from './files.ts';
import type { Lab } from './lab.ts';
import { LabError } from './names.ts';
import type { LabPaths } from './paths.ts';
import { agentName, type LabRecord, type Secrets, tenantCredential } from './record.ts';

const day = 24 * 60 * 60 * 1000;
/** How long a lab can be in use. */
const lastsDays = limits.keyDays - 1;

/** What the agents of a lab, and programs of its domains, log in with at the bus: issued as they are anywhere, by the tenant service for keys that it never sees. */
export async function issueCredentials(client: Client, paths: LabPaths, record: LabRecord, secrets: Secrets): Promise<void> {
  for (const domain of record.domains) await client.apply('domain', platformScope, domain, {});
  const expiresAt = new Date(Math.floor(Date.now() / day + lastsDays) * day).toISOString();
  const nodes = record.nodes.map(({ name }) => ({ file: paths.creds(agentName(name)), scope: platformScope, kind: 'platform-credential' as const, name: `node-${name}`.slice(0, limits.nameLength), spec: { node: name }, key: secrets.nodes[name] }));
  const domains = record.domains.map((domain) => ({ file: paths.creds(`domain-${domain}`), scope: { ...platformScope, domain }, kind: 'credential' as const, name: tenantCredential, spec: { role: 'admin' }, key: secrets.domains[domain] }));
  await inParallel([...nodes, ...domains], 8, async ({ file, scope, kind, name, spec, key }) => {
    if (key === undefined) throw new LabError(`no key was made for ${name}`, `Remove the lab and start it anew: osier lab down --name ${record.name}`);
    await client.apply(kind, scope, name, { ...spec, keys: [{ publicKey: key.publicKey, expiresAt }] });
    await writeCreds(client, file, scope, kind, name, key);
  });
}

/** Once more, for the same keys: after a restore, whose credentials are those of the backup. */
export async function reissueCredentials({ client, paths, record }: Lab): Promise<void> {
  const secrets = readJson<Secrets>(paths.secret('all'));
  if (secrets === undefined) throw new LabError(`the secrets of lab "${record.name}" are gone`, `Remove it and start it anew: osier lab down --name ${record.name}`);
  await issueCredentials(client, paths, record, secrets);
}

async function writeCreds(client: Client, file: string, scope: Scope, kind: 'credential' | 'platform-credential', name: string, key: UserKey): Promise<void> {
  const login = (await client.logins(kind, scope, name)).find(({ publicKey }) => publicKey === key.publicKey);
  if (login === undefined) throw new LabError(`the credential ${name} has no login for its key`, 'Look into the log of the tenant service.');
  writeFileSync(file, credsText({ jwt: login.jwt, seed: key.seed }), { mode: 0o600 });
}
