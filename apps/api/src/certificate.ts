import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Log } from '@osier/telemetry/log';

/** PEM files of the door's own certificate, with those between it and its authority, and of its key. */
export interface CertificateFiles { readonly cert: string; readonly key: string }
export interface Pair { readonly cert: string; readonly key: string }

/** Oldest version of TLS that the door speaks. */
export const minVersion = 'TLSv1.2';

/** The two files as they are now. Throws an Error that names the setting where they cannot be used. */
export function readCertificate(files: CertificateFiles): Pair {
  const read = (setting: string, file: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      throw new Error(`${setting} names ${file}, which cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}; correct the path, or let the api read the file`);
    }
  };
  const pair = { cert: read('OSIER_API_TLS_CERT', files.cert), key: read('OSIER_API_TLS_KEY', files.key) };
  try {
    createSecureContext({ ...pair, minVersion });
  } catch (error) {
    throw new Error(`OSIER_API_TLS_CERT (${files.cert}) and OSIER_API_TLS_KEY (${files.key}) cannot be used: ${(error as Error).message}; give PEM files that belong together, the key without a passphrase`);
  }
  return pair;
}

/** Hands on each renewed pair. Half a renewal, one file new and the other not yet, is waited out with the pair that there was. */
export function followCertificate(files: CertificateFiles, o: { everyMs: number; log: Log; onRenewed: (pair: Pair) => void }): { stop(): void } {
  let last = readCertificate(files);
  let said = '';
  const look = (): void => {
    try {
      const now = readCertificate(files);
      said = '';
      if (now.cert === last.cert && now.key === last.key) return;
      last = now;
      o.onRenewed(now);
      o.log.info({ certificate: files.cert }, 'the certificate was renewed');
    } catch (error) {
      const { message } = error as Error;
      if (message !== said) o.log.warn({ reason: message }, 'the certificate cannot be read again; going on with the one there was');
      said = message;
    }
  };
  const timer = setInterval(look, o.everyMs).unref();
  return { stop: () => clearInterval(timer) };
}
