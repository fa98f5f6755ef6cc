import { ConfigProblem, readConfig as read } from '@osier/runtime/config';
import { natsSettings } from '@osier/runtime/nats-settings';
import { z } from 'zod';

const schema = z.object({
  ...natsSettings,
  OSIER_CREDENTIALS_FILE: z.string().min(1).meta({ description: 'Credentials file of the api for NATS (.creds)' }),
  OSIER_TOKENS_FILE: z.string().min(1).meta({ description: 'JSON file {"tokens": [{"token", "credential"}]} of those who may ask' }),
  OSIER_API_HOST: z.string().min(1).default('127.0.0.1').meta({ description: 'Address to listen on' }),
  OSIER_API_PORT: z.coerce.number().int().min(0).max(65535).default(7480).meta({ description: 'Port to listen on; 0: any free one' }),
  OSIER_API_TLS_CERT: z.string().min(1).optional().meta({ description: 'PEM file of the certificate with which it speaks HTTPS; without it: HTTP' }),
  OSIER_API_TLS_KEY: z.string().min(1).optional().meta({ description: 'PEM file of its key' }),
  OSIER_DATA_DIR: z.string().min(1).optional().meta({ description: 'Directory of its own for archives while they are made or restored; without it: the system\'s for temporary files' }),
  OSIER_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info').meta({ description: 'Least severe line of the log' }),
  OSIER_READY_FILE: z.string().min(1).optional().meta({ description: 'Written when it listens: JSON {pid, url}' }),
});
export type Config = z.output<typeof schema>;

/** Undefined: HTTP. */
export function certificateFiles({ OSIER_API_TLS_CERT: cert, OSIER_API_TLS_KEY: key }: Config): { cert: string; key: string } | undefined {
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert === key) return undefined;
  throw new ConfigProblem(`${cert === undefined ? 'OSIER_API_TLS_KEY is set and OSIER_API_TLS_CERT' : 'OSIER_API_TLS_CERT is set and OSIER_API_TLS_KEY'} is not: set both for HTTPS, or neither for HTTP.`);
}

/** Throws a ConfigProblem that names each variable that is missing or wrong. */
export const readConfig = (environment: Readonly<Record<string, string | undefined>>): Config => read(schema, environment);
