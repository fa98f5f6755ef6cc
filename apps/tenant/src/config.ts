import { readFileSync } from 'node:fs';
import type { Authority } from '@osier/bus/authority';
import type { StartCompanion } from '@osier/runtime/companion';
import { ConfigProblem, readConfig } from '@osier/runtime/config';
import { natsSettings, natsTls } from '@osier/runtime/nats-settings';
import { z } from 'zod';

const settings = z.object({
  OSIER_AUTHORITY_FILE: z.string().min(1).optional().meta({ description: 'JSON file {signing, root}: the keys with which accounts are signed; without it the accounts of the bus are a static file' }),
  ...natsSettings,
  OSIER_NATS_URL: natsSettings.OSIER_NATS_URL.optional(),
});
/** Where nats-server is. */
export interface Server { readonly url: string; readonly tls: ReturnType<typeof natsTls> }
const authoritySchema = z.strictObject({ signing: z.string().regex(/^SO[A-Z2-7]{56}$/), root: z.base64().min(40) });

/** The companion of a bus whose accounts this service signs; none where they are a static file. Throws a ConfigProblem. */
export function readAuthority(environment: Readonly<Record<string, string | undefined>>, over: (server: Server, authority: Authority) => StartCompanion): StartCompanion | undefined {
  const config = readConfig(settings, environment);
  const { OSIER_AUTHORITY_FILE: file, OSIER_NATS_URL: url } = config;
  if (file === undefined || url === undefined) return undefined;
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new ConfigProblem(`The authority file ${file} cannot be used: ${(error as NodeJS.ErrnoException).code ?? 'it is not JSON'}. OSIER_AUTHORITY_FILE must name the file that was made with the installation.`);
  }
  // Without the values: they are secrets.
  const checked = authoritySchema.safeParse(content);
  if (!checked.success) throw new ConfigProblem(`The authority file ${file} is not of the form {"signing", "root"}. OSIER_AUTHORITY_FILE must name the file that was made with the installation.`);
  return over({ url, tls: natsTls(config) }, checked.data);
}
