import { z } from 'zod';
import { limits } from './limits.ts';

/** The token for "not applicable" in a subject; no name may be this. */
export const none = '_';

/** A name: a DNS label, since names become parts of host names and of subjects. Immutable once given. */
export const nameSchema = z
  .string()
  .min(1)
  .max(limits.nameLength)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be lower-case letters, digits and "-", and begin and end with a letter or digit')
  .meta({ description: 'DNS label: lower-case letters, digits and "-"', examples: ['shop'] });

/** UUID of any version in its lower-case text form; Osier itself makes version 7 (RFC 9562, 5.7). */
export const idSchema = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'must be a UUID in lower case');

/** What may stand as one variable token of a subject: an intent's id, a credential's id. */
export const tokenSchema = z.string().min(1).max(128).regex(/^[A-Za-z0-9_-]+$/, 'must be letters, digits, "_" and "-"');

export const timeSchema = z.iso.datetime().meta({ description: 'UTC, RFC 3339' });

/** The public key of an nkey pair of a user (Ed25519, https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth). */
export const userKeySchema = z.string().regex(/^U[A-Z2-7]{55}$/, 'must be the public key of a user: U and 55 letters and digits')
  .meta({ description: 'Public key (nkey) whose seed only its holder has' });

/** IPv4 as dotted decimal without leading zeros (RFC 6943, 3.1.1 tells why other spellings are refused). */
export const ipv4Schema = z
  .string()
  .max(15)
  .regex(/^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.|$)){4}$/, 'must be an IPv4 address such as 10.0.0.7')
  .meta({ examples: ['10.0.0.7'] });

export const cidrSchema = z
  .string()
  .max(18)
  .regex(/^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\/([0-9]|[12]\d|3[0-2])$/, 'must be an IPv4 prefix such as 10.0.0.0/24')
  .meta({ examples: ['10.0.0.0/24'] });

export const macSchema = z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/, 'must be a MAC address such as 02:00:00:00:00:01');

/** Key of a tag, as a label key of Kubernetes. */
export const tagKeySchema = z
  .string()
  .min(1)
  .max(limits.tagKeyLength)
  .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/, 'must be a tag key such as app or example.com/app');
const tagValue = z
  .string()
  .max(limits.tagValueLength)
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/, 'must be letters, digits, "-", "_" and "."');

export const tagsSchema = z
  .record(tagKeySchema, tagValue)
  .refine((tags) => Object.keys(tags).length <= limits.tagsPerEndpoint, `must have at most ${limits.tagsPerEndpoint} tags`)
  .meta({ description: 'Tags, key to value', examples: [{ app: 'frontend' }] });
export type Tags = z.infer<typeof tagsSchema>;

/** Selects endpoints by their tags; the empty selector selects all of the environment. */
export const selectorSchema = z.strictObject({
  matchTags: z.record(tagKeySchema, tagValue).optional(),
  matchExpressions: z
    .array(
      z.discriminatedUnion('operator', [
        z.strictObject({ key: tagKeySchema, operator: z.enum(['In', 'NotIn']), values: z.array(tagValue).min(1).max(limits.itemsPerRule) }),
        z.strictObject({ key: tagKeySchema, operator: z.enum(['Exists', 'DoesNotExist']) }),
      ]),
    )
    .max(limits.itemsPerRule)
    .optional(),
});
export type Selector = z.infer<typeof selectorSchema>;

export const protocolSchema = z.enum(['TCP', 'UDP', 'SCTP', 'ICMP']);
export type Protocol = z.infer<typeof protocolSchema>;
export const portSchema = z.int().min(1).max(65535);
