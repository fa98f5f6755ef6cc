import 'reflect-metadata';
import { isIP } from 'node:net';
import { webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension, BasicConstraintsExtension, ExtendedKeyUsage, ExtendedKeyUsageExtension, KeyUsageFlags, KeyUsagesExtension, PemConverter,
  SubjectAlternativeNameExtension, SubjectKeyIdentifierExtension, X509CertificateGenerator,
} from '@peculiar/x509';

/** PEM texts. */
export interface Issued { readonly cert: string; readonly key: string }
export interface Wanted {
  readonly name: string;
  /** Host names and IP addresses under which it is reached; none: of a client. */
  readonly hosts?: readonly string[];
  readonly from?: Date;
  readonly to?: Date;
}
export interface CertificateAuthority {
  readonly ca: string;
  issue(wanted: Wanted): Promise<Issued>;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const day = 24 * 60 * 60 * 1000;
/** Days. Clocks of one installation differ a little. */
const validity = { before: 1, for: 365 };

const newKeys = () => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
const serial = (): string => Buffer.from(webcrypto.getRandomValues(new Uint8Array(16))).toString('hex').replace(/^./, '1');
const inTime = ({ from, to }: Pick<Wanted, 'from' | 'to'>) => ({ notBefore: from ?? new Date(Date.now() - validity.before * day), notAfter: to ?? new Date(Date.now() + validity.for * day) });
const keyPem = async (keys: webcrypto.CryptoKeyPair): Promise<string> => `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')}\n`;

/**
 * A certificate authority for labs and tests, whose key is never written anywhere: once it is forgotten, nobody can issue in its name. An installation
 * has an authority of its own (docs/operations.md).
 */
export async function newCertificateAuthority(name: string): Promise<CertificateAuthority> {
  const keys = await newKeys();
  const authority = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(), name: [{ CN: [name] }], ...inTime({}), keys, signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true), await SubjectKeyIdentifierExtension.create(keys.publicKey)],
  });
  return {
    ca: `${authority.toString('pem')}\n`,
    async issue(wanted) {
      const own = await newKeys();
      const hosts = wanted.hosts ?? [];
      const names = hosts.map((host) => ({ type: isIP(host) === 0 ? ('dns' as const) : ('ip' as const), value: host }));
      const certificate = await X509CertificateGenerator.create({
        serialNumber: serial(), subject: [{ CN: [wanted.name] }], issuer: authority.subjectName, ...inTime(wanted), publicKey: own.publicKey, signingKey: keys.privateKey, signingAlgorithm: algorithm,
        extensions: [
          new BasicConstraintsExtension(false, undefined, true), new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          // A server of a cluster is a client of the others.
          new ExtendedKeyUsageExtension(hosts.length > 0 ? [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth] : [ExtendedKeyUsage.clientAuth]),
          await AuthorityKeyIdentifierExtension.create(keys.publicKey), await SubjectKeyIdentifierExtension.create(own.publicKey),
          ...(names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : []),
        ],
      });
      return { cert: `${certificate.toString('pem')}\n`, key: await keyPem(own) };
    },
  };
}
