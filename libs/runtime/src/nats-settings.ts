import { type TlsFiles, tlsSettings } from '@osier/bus/tls';
import { z } from 'zod';

const file = (description: string) => z.string().min(1).optional().meta({ description });

/** How NATS is reached: the same for every program that speaks to it. */
export const natsSettings = {
  OSIER_NATS_URL: z.string().min(1).meta({ description: 'Where NATS is: nats://127.0.0.1:4222, or tls:// to speak TLS and nothing else; the servers of a cluster separated by commas' }),
  [tlsSettings.ca]: file('PEM file of the authority that signed the certificate of NATS; without it: those that this machine trusts'),
  [tlsSettings.cert]: file('PEM file of the own certificate, where NATS asks for one'),
  [tlsSettings.key]: file('PEM file of its key'),
};
type Given = { readonly [name in (typeof tlsSettings)[keyof typeof tlsSettings]]?: string | undefined };

/** Undefined where no file is named: then only `tls://` in the URL asks for TLS. */
export function natsTls(config: Given): TlsFiles | undefined {
  const { ca, cert, key } = { ca: config[tlsSettings.ca], cert: config[tlsSettings.cert], key: config[tlsSettings.key] };
  return ca === undefined && cert === undefined && key === undefined ? undefined : { ca, cert, key };
}
