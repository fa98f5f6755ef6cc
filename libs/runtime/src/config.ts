import { type Login, readLogin } from '@osier/bus/login';
import { type StreamReplicas, streamReplicas } from '@osier/bus/replicas';
import { z } from 'zod';
import { natsSettings } from './nats-settings.ts';

/** What a service's process is told by its environment. Secrets come from a file: never in argv, never in a log. */
const serviceConfig = z.object({
  ...natsSettings,
  OSIER_STREAM_REPLICAS: z.enum(streamReplicas.map(String), { error: `has to be ${streamReplicas.join(' or ')}` }).default('1').transform((text) => Number(text) as StreamReplicas)
    .meta({ description: 'On how many nats-servers each stream is kept: 1, or 3 in a cluster' }),
  OSIER_CREDENTIALS_FILE: z.string().min(1).meta({ description: 'Credentials file of the service for NATS (.creds)' }),
  OSIER_DATA_DIR: z.string().min(1).meta({ description: 'Directory of its database' }),
  OSIER_DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: 'is not the URL of a PostgreSQL database' }).regex(/^[^/]+:\/\/[^/]*\/[^/?]/, 'names no database')
    .optional().meta({ description: 'postgres://user@host:5432/database; without it: SQLite in OSIER_DATA_DIR' }),
  OSIER_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  OSIER_HEALTH_PORT: z.coerce.number().int().min(0).max(65535).default(0).meta({ description: 'Port of /healthz and /readyz on 127.0.0.1; 0: any free one' }),
  OSIER_READY_FILE: z.string().min(1).optional().meta({ description: 'Written when it is ready: JSON {pid, healthPort}' }),
});
export type ServiceConfig = z.infer<typeof serviceConfig>;

/** The process cannot start as it is configured. Its message is for the person who has to mend it. */
export class ConfigProblem extends Error {
  override readonly name = 'ConfigProblem';
}

export function readConfig<S extends z.ZodObject>(schema: S, environment: Readonly<Record<string, string | undefined>>): z.infer<S> {
  const given = Object.fromEntries(Object.entries(environment).filter(([name, value]) => name in schema.shape && value !== ''));
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => {
    const name = String(issue.path[0]);
    const about = (schema.shape[name] as z.ZodType | undefined)?.meta()?.description;
    return `  ${name}: ${given[name] === undefined ? 'is not set' : issue.message}${about ? ` (${about})` : ''}`;
  });
  throw new ConfigProblem(`Set these environment variables right:\n${lines.join('\n')}`);
}
export function readServiceConfig(environment: Readonly<Record<string, string | undefined>>): ServiceConfig {
  // In PostgreSQL nothing is kept in a directory.
  const given = environment['OSIER_DATABASE_URL'] ? { ...environment, OSIER_DATA_DIR: environment['OSIER_DATA_DIR'] || '.' } : environment;
  return readConfig(serviceConfig, given);
}

/** Reads a credentials file now, and again whenever it is asked, so that a new one may be put in its place. Throws a ConfigProblem; later keeps what it had. */
export function loginFrom(file: string): () => Login {
  const read = (): Login => {
    try {
      return readLogin(file);
    } catch (error) {
      throw new ConfigProblem((error as Error).message);
    }
  };
  let last = read();
  return () => {
    try {
      last = read();
    } catch {
      // It is being replaced, or was taken away: what was valid may still be.
    }
    return last;
  };
}
