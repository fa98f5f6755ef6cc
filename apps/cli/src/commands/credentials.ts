import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { makeBearer } from '@osier/bus/bearer';
import { type CredentialFile, credentialText, parseCredential } from '@osier/bus/credential-file';
import { newUserKey } from '@osier/bus/keys';
import type { Document } from '@osier/contracts/document';
import type { Kind } from '@osier/contracts/kinds';
import { limits } from '@osier/contracts/limits';
import { none } from '@osier/contracts/names';
import type { QueryResponse } from '@osier/contracts/queries';
import { credentialPath, type Role } from '@osier/contracts/roles';
import { change } from '../change.ts';
import { failureOf } from '../client.ts';
import { duration } from '../duration.ts';
import { exitCodes, type ExitCode, Failure, usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { print, table } from '../output.ts';
import { itemPath, listPath, type Place } from '../place.ts';
import { type CommonOptions, type Session, sessionOf } from '../session.ts';

type CredentialKind = 'credential' | 'platform-credential';
type Item = { readonly document: Document<CredentialKind>; readonly revision: number };
interface Where { readonly kind: CredentialKind; readonly place: Place; readonly path: string; readonly name: string }
type Target = CommonOptions & { readonly platform?: boolean; readonly node?: string };

const day = 24 * 60 * 60 * 1000;
const timeoutMs = 15_000;

function whereOf(session: Session, name: string, options: Target): Where {
  if (options.platform === true || options.node !== undefined) return { kind: 'platform-credential', place: {}, name, path: credentialPath({ domain: none }, name) };
  const { domain } = session.place;
  if (domain === undefined) throw usage('of which domain is the credential?', 'Add --domain NAME (-d), or --platform for one that counts everywhere.');
  return { kind: 'credential', place: { domain }, name, path: credentialPath({ domain }, name) };
}

async function find(session: Session, { kind, place, name }: Where): Promise<Item | undefined> {
  const reply = await session.client.call('GET', itemPath(kind, place, name));
  if (reply.status === 404) return undefined;
  if (reply.status !== 200) throw failureOf(reply, session.client.server);
  return reply.body as Item;
}

async function send(io: Io, session: Session, { kind, place, name }: Where, o: { spec?: unknown; expectedVersion: number }): Promise<void> {
  const result = await change(session.client, { method: o.spec === undefined ? 'DELETE' : 'PUT', kind: kind as Kind, place, name, ...o, timeoutMs, signal: io.signal });
  if (result.result === 'refused') throw new Failure(exitCodes.refused, result.problem.code, result.problem.reason, result.problem.fix, result.problem.path);
  if (result.result === 'unreachable') throw result.failure;
  if (result.result === 'pending') throw new Failure(exitCodes.timeout, 'pending', `it is stored as ${result.intentId}, and was not decided within ${timeoutMs / 1000} s`, 'Look whether the tenant service runs, then see what came of it: osier credentials list');
}

async function loginOf(session: Session, { kind, place, name, path }: Where, publicKey: string): Promise<string> {
  const { logins } = (await session.client.read(`${itemPath(kind, place, name)}/logins`)) as QueryResponse<'tenant.logins'>;
  const login = logins.find((one) => one.publicKey === publicKey);
  if (login === undefined) throw new Failure(exitCodes.refused, 'no-such-key', `${path} has no key ${publicKey} that counts: it was revoked, or has expired`, `Have a new one issued: osier credentials issue ${name}`);
  return login.jwt;
}

function writeCredential(file: string, credential: CredentialFile): void {
  writeFileSync(`${file}.new`, credentialText(credential), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** What the credential is to be: what it was, and one key more. */
function specOf(before: Document<CredentialKind> | undefined, o: { role?: Role; project?: string; node?: string }, where: Where): Record<string, unknown> {
  const was = before?.spec as { role?: Role; project?: string; node?: string } | undefined;
  for (const field of ['role', 'project', 'node'] as const) {
    if (was !== undefined && o[field] !== undefined && o[field] !== was[field]) {
      throw new Failure(exitCodes.refused, 'other-credential', `${where.path} is there already, and its ${field} is ${was[field] ?? 'not set'}, not ${o[field]}`, `Leave out --${field} to give it a further key, or change it: osier get ${where.kind} ${where.name} -o yaml`, field);
    }
  }
  if (before !== undefined) return before.spec;
  if (o.node === undefined && o.role === undefined) throw usage('what may the credential do?', 'Add --role viewer, editor, approver or admin (or --node NAME for an agent).');
  return { ...(o.role === undefined ? {} : { role: o.role }), ...(o.project === undefined ? {} : { project: o.project }), ...(o.node === undefined ? {} : { node: o.node }), keys: [] };
}

export async function issue(io: Io, name: string, options: Target & { role?: Role; expires: string; out?: string }): Promise<ExitCode> {
  const lasts = duration(options.expires);
  if (lasts < 1000 || lasts > limits.keyDays * day) throw usage(`a key counts for a second to ${limits.keyDays} days, not ${options.expires}.`, 'Give --expires within that, such as 90d.');
  const file = options.out ?? `${name}.creds`;
  if (existsSync(file)) throw usage(`there is a file ${file} already; its key would be lost.`, 'Name another with --out, or move that one away.');
  const session = sessionOf(io, options);
  const where = whereOf(session, name, options);
  const before = await find(session, where);
  const { role, node, project } = { ...options, project: session.asked.project };
  const spec = specOf(before?.document, { ...(role === undefined ? {} : { role }), ...(node === undefined ? {} : { node }), ...(project === undefined ? {} : { project }) }, where);
  const key = newUserKey();
  const expiresAt = new Date(Math.floor((Date.now() + lasts) / 1000) * 1000).toISOString();
  const still = (spec['keys'] as { expiresAt: string }[]).filter((k) => Date.parse(k.expiresAt) > Date.now());
  await send(io, session, where, { spec: { ...spec, keys: [...still, { publicKey: key.publicKey, expiresAt }] }, expectedVersion: before?.document.version ?? 0 });
  writeCredential(file, { jwt: await loginOf(session, where, key.publicKey), seed: key.seed, path: where.path, server: session.client.server });
  const answer = { credential: where.path, publicKey: key.publicKey, expiresAt, file };
  await print(io, session.format, answer, [answer], () => `${where.path}: a key until ${expiresAt}, in ${file} (mode 0600)\n${'node' in spec ? `Use it: as OSIER_CREDENTIALS_FILE of the agent of ${String(spec['node'])}.` : `Use it: OSIER_CREDS=${file} osier get networks, or any NATS client with this file.`}${still.length > 0 ? `\nIt has ${still.length + 1} keys now. When the new one is in place, end the old: osier credentials revoke ${name} --key ${(still[0] as unknown as { publicKey: string }).publicKey}` : ''}`);
  return exitCodes.ok;
}

async function listed(session: Session, kind: CredentialKind, place: Place): Promise<Item[]> {
  const reply = await session.client.call('GET', listPath(kind as Kind, place));
  // Not everybody may see those of the platform.
  if (reply.status === 403 && kind === 'platform-credential') return [];
  if (reply.status !== 200) throw failureOf(reply, session.client.server);
  return (reply.body as { items: Item[] }).items;
}

export async function list(io: Io, options: CommonOptions & { readonly all?: boolean }): Promise<ExitCode> {
  const session = sessionOf(io, options);
  const domain = options.all === true ? undefined : session.place.domain;
  const items = [...(await listed(session, 'credential', domain === undefined ? {} : { domain })), ...(domain === undefined || session.asked.domain === undefined ? await listed(session, 'platform-credential', {}) : [])];
  const state = (expiresAt: string): string => (Date.parse(expiresAt) <= Date.now() ? 'expired' : `until ${expiresAt.slice(0, 16).replace('T', ' ')}`);
  const rows = items.flatMap(({ document: d }) => {
    const spec = d.spec as { role?: string; project?: string; node?: string };
    const about = [credentialPath(d, d.name), spec.project ?? (d.domain === none ? '-' : 'all'), spec.node === undefined ? (spec.role ?? '-') : `node ${spec.node}`];
    const keys = [...d.spec.keys.map((k) => [k.publicKey, state(k.expiresAt)]), ...d.status.revoked.map((k) => [k.publicKey, 'revoked'])];
    return keys.length === 0 ? [[...about, '-', 'no key']] : keys.map((key) => [...about, ...key]);
  });
  await print(io, session.format, { items }, items, () => (rows.length === 0 ? 'no credentials' : table(['CREDENTIAL', 'PROJECT', 'ROLE', 'KEY', 'STATE'], rows)));
  return exitCodes.ok;
}

export async function revoke(io: Io, name: string, options: Target & { readonly key?: string }): Promise<ExitCode> {
  const session = sessionOf(io, options);
  const where = whereOf(session, name, options);
  const found = await find(session, where);
  if (found === undefined) throw new Failure(exitCodes.refused, 'not-found', `there is no credential ${where.path}`, 'List what there is: osier credentials list');
  const { spec, version } = found.document;
  if (options.key !== undefined && !spec.keys.some((k) => k.publicKey === options.key)) {
    throw new Failure(exitCodes.refused, 'no-such-key', `${where.path} has no key ${options.key.slice(0, 80)}`, 'List its keys: osier credentials list');
  }
  const rest = spec.keys.filter((k) => k.publicKey !== options.key);
  await send(io, session, where, options.key === undefined ? { expectedVersion: version } : { spec: { ...spec, keys: rest }, expectedVersion: version });
  const answer = { credential: where.path, revoked: options.key ?? 'all', keys: options.key === undefined ? 0 : rest.length };
  await print(io, session.format, answer, [answer], () => (options.key === undefined ? `${where.path} is revoked; whoever was connected with it is put out` : `the key is revoked; ${where.path} has ${rest.length} left`));
  return exitCodes.ok;
}

function readFile(file: string | undefined): { file: string; credential: CredentialFile } {
  if (file === undefined || file === '') throw usage('which credentials file?', 'Give --creds FILE, or set OSIER_CREDS.');
  try {
    return { file, credential: parseCredential(readFileSync(file, 'utf8')) };
  } catch (error) {
    throw usage(`cannot use the credentials file ${file}: ${(error as Error).message}`, 'Have a new one issued: osier credentials issue');
  }
}

export async function fetchLogin(io: Io, options: CommonOptions): Promise<ExitCode> {
  const { file, credential } = readFile(options.creds ?? io.env['OSIER_CREDS']);
  const session = sessionOf(io, { ...options, creds: file });
  const { keyOf } = await import('@osier/bus/keys');
  const [domain, name] = credential.path.includes('/') ? (credential.path.split('/') as [string, string]) : [undefined, credential.path.replace(/^platform-/, '')];
  const where: Where = { kind: domain === undefined ? 'platform-credential' : 'credential', place: domain === undefined ? {} : { domain }, name, path: credential.path };
  const jwt = await loginOf(session, where, keyOf(credential.seed).getPublicKey());
  writeCredential(file, { ...credential, jwt, server: session.client.server });
  await print(io, session.format, { credential: credential.path, file }, [{ credential: credential.path, file }], () => `${file} holds the login of ${credential.path} as it is now`);
  return exitCodes.ok;
}

export async function token(io: Io, options: { creds?: string; expires: string }): Promise<ExitCode> {
  const { credential } = readFile(options.creds ?? io.env['OSIER_CREDS']);
  io.out(makeBearer({ path: credential.path, seed: credential.seed, issuedAt: Date.now(), expiresAt: Date.now() + duration(options.expires) }));
  return exitCodes.ok;
}
