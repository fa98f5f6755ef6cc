import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { LabPaths } from './paths.ts';
import type { LabRecord } from './record.ts';

/** Who in a lab shows a certificate: all of them on the loopback address. */
const servers = ['nats', 'api'] as const;
const hosts = ['127.0.0.1', 'localhost'];
/** Days before the end of a certificate from which on `lab up` makes new ones. */
const renewBefore = 30;

/** The authority of a lab that speaks TLS, as PEM. */
export const authorityOf = (paths: LabPaths, record: LabRecord): string | undefined => (record.tls ? readFileSync(paths.certificate('ca'), 'utf8') : undefined);

function stillGood(paths: LabPaths): boolean {
  const files = ['ca', ...servers].map((name) => paths.certificate(name));
  return files.every((file) => existsSync(file) && new X509Certificate(readFileSync(file)).validToDate.getTime() > Date.now() + renewBefore * 24 * 60 * 60 * 1000)
    && servers.every((name) => existsSync(paths.certificateKey(name)));
}

/** Makes what a lab with TLS lacks. The authority's key is forgotten at once, so they are all made anew together. */
export async function prepareCertificates(paths: LabPaths, record: LabRecord): Promise<void> {
  if (!record.tls || stillGood(paths)) return;
  const { newCertificateAuthority } = await import('@osier/bus/certificates');
  const authority = await newCertificateAuthority(`Osier lab ${record.name}`);
  const put = (file: string, text: string): void => {
    writeFileSync(`${file}.tmp`, text, { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
  };
  for (const name of servers) {
    const { cert, key } = await authority.issue({ name: `Osier lab ${record.name}, ${name}`, hosts });
    put(paths.certificateKey(name), key);
    put(paths.certificate(name), cert);
  }
  put(paths.certificate('ca'), authority.ca);
}
