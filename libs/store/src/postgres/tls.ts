import { readFileSync } from 'node:fs';
import { checkServerIdentity, createSecureContext, type PeerCertificate } from 'node:tls';
import { DatabaseRefused } from './errors.ts';

/** The driver's options for TLS. */
export interface Secured { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly minVersion: 'TLSv1.2'; readonly checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined }

/** Modes of libpq in which a server without TLS is refused here, and its certificate and name are verified, whatever libpq itself would let pass. */
const verifying = new Set(['allow', 'prefer', 'require', 'verify-ca', 'verify-full']);
const parameters = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey'] as const;
const variables = { sslmode: 'PGSSLMODE', sslrootcert: 'PGSSLROOTCERT', sslcert: 'PGSSLCERT', sslkey: 'PGSSLKEY' } as const;

/**
 * What the URL, or libpq's variables where it says nothing, ask of TLS. Not left to the driver: it compares a certificate with "localhost" when it dials
 * an IP address, knows a mode that verifies nothing, and reads PGSSLMODE=no-verify. `ssl: false`: neither asks for it, or a unix socket needs none.
 */
export function secured(text: string, env: Readonly<Record<string, string | undefined>> = process.env): { readonly url: string; readonly ssl: Secured | false } {
  const url = new URL(text);
  const query = url.searchParams;
  const [mode, root, certFile, keyFile] = parameters.map((name) => query.get(name) ?? (env[variables[name]] || undefined));
  for (const name of [...parameters, 'ssl']) query.delete(name);
  const given = new URL(text).searchParams;
  const host = given.get('host') ?? url.hostname.replace(/^\[|\]$/g, '');
  for (const weak of ['uselibpqcompat', 'sslnegotiation']) if (given.has(weak)) throw refused(`${weak} in OSIER_DATABASE_URL is not known here`, 'Leave it out.');
  if (mode !== undefined && mode !== 'disable' && !verifying.has(mode)) {
    throw refused(`sslmode=${mode} is not one that is known here`, 'Write sslmode=verify-full&sslrootcert=FILE: a server that is not verified may be anybody.');
  }
  const asked = mode !== undefined || root !== undefined || certFile !== undefined || given.get('ssl') === 'true' || given.get('ssl') === '1';
  if (!asked || mode === 'disable' || host.startsWith('/')) return { url: url.href, ssl: false };
  const files = { ...(root === undefined || root === 'system' ? {} : { ca: read('sslrootcert', root) }), ...(certFile === undefined ? {} : { cert: read('sslcert', certFile) }), ...(keyFile === undefined ? {} : { key: read('sslkey', keyFile) }) };
  try {
    createSecureContext(files);
  } catch (error) {
    throw refused(`the files of sslrootcert, sslcert and sslkey cannot be used: ${(error as Error).message}`, 'Give PEM files that belong together, the key without a passphrase.');
  }
  return { url: url.href, ssl: { ...files, minVersion: 'TLSv1.2', checkServerIdentity: (_dialled, certificate) => checkServerIdentity(host, certificate) } };
}

const refused = (reason: string, fix: string): DatabaseRefused => new DatabaseRefused(`PostgreSQL cannot be reached over TLS: ${reason}.`, fix);
function read(parameter: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw refused(`${parameter} names ${file}, which cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`, 'Correct the path in OSIER_DATABASE_URL, or let the service read the file.');
  }
}
