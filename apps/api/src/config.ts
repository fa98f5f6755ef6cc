import { z } from 'zod';

const port = z.coerce.number().int().min(0).max(65535);
/** From the environment; each variable's meaning is in README.md. */
const schema = z.object({
  OSIER_NATS_URL: z.string().min(1),
  OSIER_CREDENTIALS_FILE: z.string().min(1),
  OSIER_TOKENS_FILE: z.string().min(1),
  OSIER_API_HOST: z.string().min(1).default('127.0.0.1'),
  OSIER_API_PORT: port.default(7480),
  OSIER_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  OSIER_READY_FILE: z.string().min(1).optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.string().optional(),
});
export type Config = z.output<typeof schema>;

/** Throws an Error with a line for each variable that is missing or wrong. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const result = schema.safeParse(environment);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => {
    const name = String(issue.path[0]);
    return environment[name] === undefined ? `${name} is not set` : `${name} is ${JSON.stringify(environment[name])}: ${issue.message}`;
  });
  throw new Error(`the configuration is not complete:\n  ${lines.join('\n  ')}`);
}
