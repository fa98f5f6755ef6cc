import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { exitCodes, Failure, usage } from './failure.ts';
import type { Io } from './io.ts';

export interface ConnectionOptions { readonly server?: string; readonly tokenFile?: string; readonly lab?: string }

export interface Connection {
  /** Without a slash at its end. */
  readonly server: string;
  readonly token: string | undefined;
  /** The lab of this machine that it is, if it is one. */
  readonly lab?: string;
  /** Scope for what does not name one. */
  readonly defaults: { readonly domain?: string; readonly project?: string; readonly environment?: string };
}

/** The command that starts or repairs a lab. */
export const labUp = (lab = 'osier'): string => `osier lab up${lab === 'osier' ? '' : ` --name ${lab}`}`;

interface ClientFile { readonly server: string; readonly token?: string; readonly defaults?: Connection['defaults']; readonly lab?: string }

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

function tokenFrom(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw usage(`cannot read the token file ${file}: ${(error as Error).message}`, 'Correct --token-file or OSIER_TOKEN_FILE.');
  }
}

/** Where Osier is: `--server`, `OSIER_SERVER`, or the lab of this machine. Throws a Failure that names the fix. */
export function connectionOf(options: ConnectionOptions, env: Io['env']): Connection {
  const server = options.server ?? (options.lab === undefined ? env['OSIER_SERVER'] : undefined);
  const file = server === undefined ? labFile(options.lab ?? env['OSIER_LAB'], env['OSIER_HOME']) : undefined;
  const tokenFile = options.tokenFile ?? env['OSIER_TOKEN_FILE'];
  const token = tokenFile !== undefined ? tokenFrom(tokenFile) : (file === undefined ? env['OSIER_TOKEN'] : (file.token ?? env['OSIER_TOKEN']));
  const address = server ?? file?.server;
  if (address === undefined) {
    throw new Failure(exitCodes.unreachable, 'no-server', 'no Osier is known here: no lab is up on this machine, and OSIER_SERVER is not set',
      'Start one with: osier lab up (or set OSIER_SERVER and OSIER_TOKEN)');
  }
  if (!URL.canParse(address)) throw usage(`"${address}" is not the address of a server.`, 'Write it as http://127.0.0.1:7480.');
  const fromEnv = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const pick = (level: 'domain' | 'project' | 'environment'): object => {
    const value = fromEnv(`OSIER_${level.toUpperCase()}`) ?? file?.defaults?.[level];
    return value === undefined ? {} : { [level]: value };
  };
  return { server: address.replace(/\/+$/, ''), token, ...(file?.lab === undefined ? {} : { lab: file.lab }), defaults: { ...pick('domain'), ...pick('project'), ...pick('environment') } };
}
