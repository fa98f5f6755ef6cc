import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { exitCodes, Failure, usage } from './failure.ts';
import type { Io } from './io.ts';

export interface ConnectionOptions { readonly server?: string; readonly tokenFile?: string; readonly creds?: string; readonly lab?: string; readonly ca?: string }

export interface Connection {
  /** Without a slash at its end. */
  readonly server: string;
  /** What is shown at the door; asked for when there is something to ask. */
  readonly token: () => Promise<string | undefined>;
  /** Who has to have signed its certificate; absent: one whom this machine trusts. */
  readonly authority?: { readonly file: string; readonly pem: string };
  /** The lab of this machine that it is, if it is one. */
  readonly lab?: string;
  /** Scope for what does not name one. */
  readonly defaults: { readonly domain?: string; readonly project?: string; readonly environment?: string };
}

/** The command that starts or repairs a lab. */
export const labUp = (lab = 'osier'): string => `osier lab up${lab === 'osier' ? '' : ` --name ${lab}`}`;

interface ClientFile { readonly server: string; readonly token?: string; readonly ca?: string; readonly defaults?: Connection['defaults']; readonly lab?: string }

const labsFolder = '/run/osier';

function clientFileOf(folder: string): ClientFile | undefined {
  const lab = dirname(folder) === labsFolder ? basename(folder) : undefined;
  const file = join(folder, 'client.json');
  if (!existsSync(file)) return undefined;
  try {
    return { ...(JSON.parse(readFileSync(file, 'utf8')) as ClientFile), ...(lab === undefined ? {} : { lab }) };
  } catch (error) {
    throw new Failure(exitCodes.unreachable, 'client-file', `cannot read ${file}: ${(error as Error).message}`, `Set OSIER_SERVER and OSIER_TOKEN, or bring the lab up again: ${labUp(lab)}`);
  }
}

/** The lab that is asked for by name, else the one named `osier`, else the only one there is. */
function labFile(lab: string | undefined, home: string | undefined): ClientFile | undefined {
  if (lab !== undefined) {
    const file = clientFileOf(join(labsFolder, lab));
    if (file) return file;
    throw new Failure(exitCodes.unreachable, 'no-lab', `no lab named "${lab}" is up on this machine`, labUp(lab));
  }
  if (home !== undefined) return clientFileOf(home);
  const standard = clientFileOf(join(labsFolder, 'osier'));
  if (standard || !existsSync(labsFolder)) return standard;
  const names = readdirSync(labsFolder).filter((name) => existsSync(join(labsFolder, name, 'client.json')));
  if (names.length > 1) throw usage(`several labs are up on this machine: ${names.join(', ')}`, `Say which: --lab ${names[0] ?? 'NAME'}`);
  return names[0] === undefined ? undefined : clientFileOf(join(labsFolder, names[0]));
}

/** The authority of the lab of this machine that has this address: a credential that was issued in a lab is used there without saying so. */
function authorityOfLabAt(server: string): string | undefined {
  if (!existsSync(labsFolder)) return undefined;
  return readdirSync(labsFolder).map((name) => clientFileOf(join(labsFolder, name))).find((file) => file?.server === server)?.ca;
}

/** A token of one's own, signed with the key of a credentials file, for as long as a command may take. */
const tokenMs = 60 * 60 * 1000;
async function signedToken(file: string): Promise<string> {
  const [{ parseCredential }, { makeBearer }] = await Promise.all([import('@osier/bus/credential-file'), import('@osier/bus/bearer')]);
  const { path, seed } = parseCredential(textOf(file, 'credentials file', 'Correct --creds or OSIER_CREDS.'));
  return makeBearer({ path, seed, issuedAt: Date.now(), expiresAt: Date.now() + tokenMs });
}
function serverIn(file: string): string | undefined {
  const about = /^\{"path":.*\}$/m.exec(textOf(file, 'credentials file', 'Correct --creds or OSIER_CREDS.'))?.[0];
  return about === undefined ? undefined : (JSON.parse(about) as { server?: string }).server;
}

function textOf(file: string, what: string, fix: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw usage(`cannot read the ${what} ${file}: ${(error as Error).message}`, fix);
  }
}

function authorityFrom(file: string): { file: string; pem: string } {
  const pem = textOf(file, 'authority of the server,', 'Correct --ca or OSIER_CA.');
  if (/-----BEGIN CERTIFICATE-----/.test(pem)) return { file, pem };
  throw usage(`${file} holds no certificate`, 'Give --ca or OSIER_CA a PEM file with -----BEGIN CERTIFICATE-----.');
}

/** Where Osier is: `--server`, `OSIER_SERVER`, what the credentials file says, or the lab of this machine. Throws a Failure that names the fix. */
export function connectionOf(options: ConnectionOptions, env: Io['env']): Connection {
  const fromEnv = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const creds = options.creds ?? (options.lab === undefined && options.tokenFile === undefined ? fromEnv('OSIER_CREDS') : undefined);
  const named = options.server ?? (options.lab === undefined ? fromEnv('OSIER_SERVER') : undefined);
  const issuer = named === undefined && options.lab === undefined && creds !== undefined ? serverIn(creds) : undefined;
  const server = named ?? issuer;
  const file = server === undefined ? labFile(options.lab ?? env['OSIER_LAB'], env['OSIER_HOME']) : undefined;
  const tokenFile = options.tokenFile ?? env['OSIER_TOKEN_FILE'];
  const given = tokenFile !== undefined && creds === undefined ? textOf(tokenFile, 'token file', 'Correct --token-file or OSIER_TOKEN_FILE.') : (file === undefined ? env['OSIER_TOKEN'] : (file.token ?? env['OSIER_TOKEN']));
  const token = async (): Promise<string | undefined> => (creds === undefined ? given : signedToken(creds));
  const address = server ?? file?.server;
  if (address === undefined) {
    throw new Failure(exitCodes.unreachable, 'no-server', 'no Osier is known here: no lab is up on this machine, and OSIER_SERVER is not set',
      'Start one with: osier lab up (or set OSIER_SERVER and OSIER_TOKEN)');
  }
  if (!URL.canParse(address)) throw usage(`"${address}" is not the address of a server.`, 'Write it as http://127.0.0.1:7480.');
  const ca = options.ca ?? (file === undefined ? (fromEnv('OSIER_CA') ?? (issuer === undefined ? undefined : authorityOfLabAt(issuer))) : file.ca);
  if (ca !== undefined && !/^https:/i.test(address)) throw usage(`${ca} is the authority of a server over TLS, and ${address} is not one.`, 'Write the address as https://…, or leave out --ca and OSIER_CA.');
  const pick = (level: 'domain' | 'project' | 'environment'): object => {
    const value = fromEnv(`OSIER_${level.toUpperCase()}`) ?? file?.defaults?.[level];
    return value === undefined ? {} : { [level]: value };
  };
  return { server: address.replace(/\/+$/, ''), token, ...(ca === undefined ? {} : { authority: authorityFrom(ca) }), ...(file?.lab === undefined ? {} : { lab: file.lab }), defaults: { ...pick('domain'), ...pick('project'), ...pick('environment') } };
}
