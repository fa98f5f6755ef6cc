import { type CertificateFault, certificateFault } from '@osier/bus/tls';
import { StoreUnavailable } from '../unavailable.ts';

/** It will not get better by waiting: the address, the login or the rights are wrong. */
export class DatabaseRefused extends Error {
  override readonly name = 'DatabaseRefused';
  readonly code = 'database-refused';
  readonly fix: string;
  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}

/** Classes of SQLSTATE that are about the statement or its data (https://www.postgresql.org/docs/current/errcodes-appendix.html); all others are about the server. */
const aboutTheStatement = new Set(['02', '0A', '0Z', '20', '21', '22', '23', '24', '26', '34', '38', '39', '3B', '3F', '42', '44', '54', 'P0']);
const ofTheNetwork = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOENT', 'EACCES']);
/** What the driver says without a code when a connection goes, or does not come. */
const ofTheDriver = /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed|Query read timeout|The server does not support SSL connections|There was an error establishing an SSL connection)/;

/** By its form: errors that Node itself makes may come from another realm, where `instanceof Error` is false. */
const isError = (error: unknown): error is Error => typeof error === 'object' && error !== null && 'message' in error;
const sqlState = (error: Error): string | undefined => {
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  return typeof code === 'string' && typeof severity === 'string' && code.length === 5 ? code : undefined;
};

/** The same error, or StoreUnavailable where the database and not what was asked of it is the reason. */
export function translated(error: unknown): unknown {
  if (!isError(error) || error instanceof StoreUnavailable) return error;
  const state = sqlState(error);
  if (state !== undefined) return aboutTheStatement.has(state.slice(0, 2)) ? error : new StoreUnavailable(`PostgreSQL: ${error.message} (${state})`, { cause: error });
  const { code, syscall } = error as NodeJS.ErrnoException;
  const gone = certificateFault(error) !== undefined || /^ERR_SSL_/.test(code ?? '') || (code !== undefined && syscall !== undefined && ofTheNetwork.has(code)) || ofTheDriver.test(error.message);
  return gone ? new StoreUnavailable(`PostgreSQL cannot be reached: ${error.message || code}`, { cause: error }) : error;
}

const ofTheCertificate: Readonly<Record<CertificateFault, string>> = {
  'unknown-authority': "Set sslrootcert in OSIER_DATABASE_URL to the file of the authority that signed it. If it is set and right, this may be somebody else's server.",
  expired: 'Renew the certificate of the server and reload it (pg_ctl reload), or correct the clock of this machine.',
  'not-yet-valid': 'Correct the clock of this machine, or that of the machine that made the certificate.',
  'other-name': "Write OSIER_DATABASE_URL with a name or address that the certificate holds. If it is right, this may be somebody else's server.",
  'own-certificate': 'Set sslcert and sslkey in OSIER_DATABASE_URL to a certificate that the authority of the server has signed.',
};

/** At the start there is nothing to protect yet: what a person has to mend is said at once. */
export function refusal(error: unknown, database: string): DatabaseRefused | undefined {
  const cause = error instanceof StoreUnavailable ? error.cause : error;
  const state = isError(cause) ? sqlState(cause) : undefined;
  const untrusted = certificateFault(cause);
  if (untrusted !== undefined) return new DatabaseRefused(`The certificate of ${database} is not accepted: ${untrusted.says}.`, ofTheCertificate[untrusted.fault]);
  if (isError(cause) && cause.message.startsWith('The server does not support SSL')) {
    return new DatabaseRefused(`${database} speaks without TLS, and sslmode in OSIER_DATABASE_URL asks for it: no login was sent.`, 'Set ssl = on in postgresql.conf, with a certificate, or write sslmode=disable.');
  }
  const reason = `PostgreSQL refuses ${database}: ${isError(cause) ? cause.message : String(cause)}`;
  if (state?.startsWith('28')) return new DatabaseRefused(reason, 'Correct the user in OSIER_DATABASE_URL, or its password there or in the file that PGPASSFILE names.');
  if (state === '3D000') return new DatabaseRefused(reason, 'Create the database, or name another one in OSIER_DATABASE_URL.');
  if (state === '42501') return new DatabaseRefused(reason, 'Grant the user CREATE on the database, or create the schema with the user as its owner.');
  return undefined;
}
