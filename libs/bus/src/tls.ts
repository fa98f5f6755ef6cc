import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext, type PeerCertificate } from 'node:tls';
import { BusRefused } from './bus.ts';

/** PEM files. They are read again at each connection, so that a renewed one counts without a restart. */
export interface TlsFiles {
  /** Authorities that may have signed the server's certificate; absent: those that this machine trusts. */
  readonly ca?: string | undefined;
  /** The client's own certificate and its key, for a server that asks for one. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** The settings by which a program is told these files. */
export const tlsSettings = { ca: 'OSIER_NATS_TLS_CA', cert: 'OSIER_NATS_TLS_CERT', key: 'OSIER_NATS_TLS_KEY' } as const;

/** No connection under these settings; waiting does not mend it. Its message names the setting, `fix` what to do. */
export class TlsRefused extends BusRefused {
  readonly fix: string;
  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}

export type CertificateFault = 'unknown-authority' | 'expired' | 'not-yet-valid' | 'other-name' | 'own-certificate';
/** Codes of Node and OpenSSL (https://nodejs.org/docs/latest-v24.x/api/tls.html#x509-certificate-error-codes). */
const faults: Readonly<Record<string, CertificateFault>> = {
  UNABLE_TO_GET_ISSUER_CERT: 'unknown-authority', UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown-authority', UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown-authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknown-authority', DEPTH_ZERO_SELF_SIGNED_CERT: 'unknown-authority', CERT_SIGNATURE_FAILURE: 'unknown-authority', CERT_UNTRUSTED: 'unknown-authority',
  INVALID_CA: 'unknown-authority', CERT_HAS_EXPIRED: 'expired', CERT_NOT_YET_VALID: 'not-yet-valid', ERR_TLS_CERT_ALTNAME_INVALID: 'other-name',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'own-certificate', ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'own-certificate', ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'own-certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: 'own-certificate', ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'own-certificate',
};

/** OpenSSL puts the place in its own source around what it has to say. */
const plain = (message: string): string => (/:SSL routines:[^:]*:([^:]+):/.exec(message)?.[1] ?? message).trim().replace(/\.$/, '');

/** What was wrong with a certificate, if that was why a connection did not come about. */
export function certificateFault(error: unknown): { readonly fault: CertificateFault; readonly says: string } | undefined {
  for (let e = error, depth = 0; typeof e === 'object' && e !== null && depth < 8; e = (e as { cause?: unknown }).cause, depth++) {
    const { code, message } = e as { code?: unknown; message?: unknown };
    const fault = typeof code === 'string' ? faults[code] : undefined;
    if (fault !== undefined) return { fault, says: plain(String(message)) };
  }
  return undefined;
}

const hostOf = (server: string): string => {
  const url = server.includes('://') ? server : `nats://${server}`;
  return URL.canParse(url) ? new URL(url.replace(/^[a-z]+:/i, 'http:')).hostname.replace(/^\[|\]$/g, '') : '';
};

/**
 * The client's options for TLS, or undefined where nothing asks for it: neither a `tls://` in the URL nor a file. With them the client refuses a server
 * that does not speak TLS. Throws TlsRefused for a file that cannot be used.
 */
export function tlsOptions(url: string, files: TlsFiles = {}): Record<string, unknown> | undefined {
  const { ca, cert, key } = files;
  if (ca === undefined && cert === undefined && key === undefined && !/(^|,)\s*tls:\/\//i.test(url)) return undefined;
  if ((cert === undefined) !== (key === undefined)) {
    const [there, missing] = cert === undefined ? ([tlsSettings.key, tlsSettings.cert] as const) : ([tlsSettings.cert, tlsSettings.key] as const);
    throw new TlsRefused(`${there} is set and ${missing} is not.`, 'A certificate and its key belong together: set both, or neither.');
  }
  usable(files);
  return {
    ...(ca === undefined ? {} : { caFile: ca }), ...(cert === undefined ? {} : { certFile: cert, keyFile: key }), minVersion: 'TLSv1.2', checkServerIdentity: identityCheck(url.split(',').map(hostOf)),
  };
}

function usable(files: TlsFiles): void {
  const read = (which: keyof TlsFiles): string | undefined => {
    const file = files[which];
    if (file === undefined) return undefined;
    try {
      const text = readFileSync(file, 'utf8');
      if (/-----BEGIN /.test(text)) return text;
    } catch (error) {
      throw new TlsRefused(`${tlsSettings[which]} names ${file}, which cannot be read: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}.`, 'Correct the path, or let the program read the file.');
    }
    throw new TlsRefused(`${tlsSettings[which]} names ${file}, which holds no PEM block.`, `Give a file that holds -----BEGIN ${which === 'key' ? 'PRIVATE KEY' : 'CERTIFICATE'}-----.`);
  };
  const [ca, cert, key] = [read('ca'), read('cert'), read('key')];
  const made = (settings: string, options: Parameters<typeof createSecureContext>[0]): void => {
    try {
      createSecureContext(options);
    } catch (error) {
      throw new TlsRefused(`${settings} cannot be used: ${(error as Error).message}.`, 'Give PEM files that belong together, the key without a passphrase.');
    }
  };
  if (ca !== undefined) made(tlsSettings.ca, { ca });
  if (cert !== undefined && key !== undefined) made(`${tlsSettings.cert} with ${tlsSettings.key}`, { cert, key });
}

/**
 * The client tells Node no name when it dials an IP address, and Node then compares the certificate with "localhost". Compared is instead with the
 * addresses of the URL: it has to be the certificate of one of them.
 */
function identityCheck(hosts: readonly string[]) {
  const addresses = hosts.filter((host) => isIP(host) !== 0);
  return (host: string, certificate: PeerCertificate): Error | undefined => {
    if (host !== 'localhost' || addresses.length === 0) return checkServerIdentity(host, certificate);
    const names = hosts.includes('localhost') ? [...addresses, 'localhost'] : addresses;
    const found = names.map((name) => checkServerIdentity(name, certificate));
    return found.includes(undefined) ? undefined : found[0];
  };
}

/** Why a connection did not come about, if TLS is the reason, in words for whoever has to mend it. */
export function tlsRefusal(error: unknown, url: string, files: TlsFiles = {}): TlsRefused | undefined {
  if (error instanceof TlsRefused) return error;
  const message = error instanceof Error ? error.message : '';
  if (/does not support 'tls'/.test(message)) {
    return new TlsRefused(`NATS at ${url} speaks without TLS, and TLS is set here (tls:// in OSIER_NATS_URL, or ${tlsSettings.ca}): nothing was sent.`,
      'Give the server a `tls` block and reload it, or take TLS out of these settings.');
  }
  const found = certificateFault(error);
  if (found === undefined) return undefined;
  const wrong = `The certificate of NATS at ${url} is not accepted: ${found.says}.`;
  switch (found.fault) {
    case 'unknown-authority':
      return files.ca === undefined
        ? new TlsRefused(`NATS at ${url} speaks TLS, and its certificate is signed by nobody whom this machine trusts: ${found.says}.`, `Set ${tlsSettings.ca} to the file of the authority that signed it.`)
        : new TlsRefused(wrong, `It was not signed by the authority in ${tlsSettings.ca} (${files.ca}): give the file of the one that signed it. If the address is right, this may be somebody else's server.`);
    case 'expired': return new TlsRefused(wrong, 'Renew the certificate of the server and reload it (SIGHUP), or correct the clock of this machine.');
    case 'not-yet-valid': return new TlsRefused(wrong, 'Correct the clock of this machine, or that of the machine that made the certificate.');
    case 'other-name': return new TlsRefused(wrong, 'Write OSIER_NATS_URL with a name or address that the certificate holds, or issue the certificate for this one. If both are right, this may be somebody else\'s server.');
    case 'own-certificate':
      return files.cert === undefined
        ? new TlsRefused(`NATS at ${url} asks for a certificate of the client: ${found.says}.`, `Set ${tlsSettings.cert} and ${tlsSettings.key} to one that its authority has signed.`)
        : new TlsRefused(`NATS at ${url} does not accept the certificate in ${tlsSettings.cert} (${files.cert}): ${found.says}.`, 'Give one that the authority of the server has signed, that is in time, and that is for clients.');
  }
}
