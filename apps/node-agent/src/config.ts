import { natsSettings } from '@osier/runtime/nats-settings';
import { z } from 'zod';

/** From the environment; each variable's meaning is in README.md. */
const schema = z.object({
  OSIER_NODE: z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be the name of a node'),
  ...natsSettings,
  OSIER_CREDENTIALS_FILE: z.string().min(1),
  OSIER_PIN_DIR: z.string().startsWith('/', 'must be an absolute path below a bpffs mount'),
  OSIER_NODE_NETNS: z.string().startsWith('/').optional(),
  OSIER_NETNS_DIR: z.string().startsWith('/').default('/run/netns'),
  OSIER_UNDERLAY_DEVICE: z.string().min(1).max(15).optional(),
  OSIER_UNDERLAY_ADDRESS: z.string().optional(),
  OSIER_MTU: z.coerce.number().int().min(626).max(65535).default(1500),
  OSIER_VXLAN_PORT: z.coerce.number().int().min(1).max(65535).default(4789),
  OSIER_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  OSIER_HEALTH_PORT: z.coerce.number().int().min(0).max(65535).optional(),
  OSIER_READY_FILE: z.string().min(1).optional(),
});
export type Config = z.output<typeof schema>;

/** What it takes to remove what an agent left in the kernel; needs no bus. */
export const cleanupSchema = schema.pick({ OSIER_PIN_DIR: true, OSIER_NODE_NETNS: true });

export const readConfig = (environment: NodeJS.ProcessEnv): Config => read(schema, environment);
export const readCleanupConfig = (environment: NodeJS.ProcessEnv): z.output<typeof cleanupSchema> => read(cleanupSchema, environment);

/** Throws an Error with a line for each variable that is missing or wrong. An empty variable counts as not set. */
function read<S extends z.ZodType>(of: S, environment: NodeJS.ProcessEnv): z.output<S> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const result = of.safeParse(given);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => {
    const name = String(issue.path[0]);
    return given[name] === undefined ? `${name} is not set` : `${name} is ${JSON.stringify(given[name])}: ${issue.message}`;
  });
  throw new Error(`the configuration is not complete:\n  ${lines.join('\n  ')}`);
}
