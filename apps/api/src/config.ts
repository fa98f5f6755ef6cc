import { readConfig as read } from '@osier/runtime/config';
import { z } from 'zod';

const schema = z.object({
  OSIER_NATS_URL: z.string().min(1).meta({ description: 'Where NATS is: nats://127.0.0.1:4222' }),
  OSIER_CREDENTIALS_FILE: z.string().min(1).meta({ description: 'Credentials file of the api for NATS (.creds)' }),
  OSIER_TOKENS_FILE: z.string().min(1).meta({ description: 'JSON file {"tokens": [{"token", "credential"}]} of those who may ask' }),
  OSIER_API_HOST: z.string().min(1).default('127.0.0.1').meta({ description: 'Address to listen on' }),
  OSIER_API_PORT: z.coerce.number().int().min(0).max(65535).default(7480).meta({ description: 'Port to listen on; 0: any free one' }),
  OSIER_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info').meta({ description: 'Least severe line of the log' }),
  OSIER_READY_FILE: z.string().min(1).optional().meta({ description: 'Written when it listens: JSON {pid, url}' }),
});
export type Config = z.output<typeof schema>;

/** Throws a ConfigProblem that names each variable that is missing or wrong. */
export const readConfig = (environment: Readonly<Record<string, string | undefined>>): Config => read(schema, environment);
