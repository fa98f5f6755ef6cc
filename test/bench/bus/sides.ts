import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '@osier/bus/bus';
import { intentsOf } from '@osier/contracts/catalogue';
import { headers } from '@osier/contracts/envelope';
import type { Kind } from '@osier/contracts/kinds';
import { intentPattern, statePattern } from '@osier/contracts/subjects';
import { environmentOf, type Installation, installation, services, token } from './installation.ts';
import type { RawOrders, Sample } from './raw-owner.ts';
import type { ReaderOrders } from './raw-reader.ts';

/** As the services have it. */
const maxAckPending = 1_000;
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** An intent of those who run the platform, and its outcome. */
export async function wish(bus: Bus, subject: string, name: string, spec: unknown): Promise<void> {
  const id = randomUUID();
  const [, , domain, project] = subject.split('.');
  await bus.publish(subject, encode({ name, spec }), { headers: { [headers.id]: id } });
  for (const until = Date.now() + 20_000; Date.now() < until; await sleep(10)) {
    const outcome = await bus.last('OUTCOMES', `osier.outcome.${domain}.${project}.${id}`);
    if (outcome === undefined) continue;
    const text = Buffer.from(outcome.data).toString();
    if ((JSON.parse(text) as { result: string }).result !== 'accepted') throw new Error(`${subject}: ${text}`);
    return;
  }
  throw new Error(`${subject} was not decided`);
}

/** An installation as it is: all four services, each with its SQLite database, and the HTTP door. */
export async function osier(): Promise<Installation & { readonly api: string }> {
  const place = await installation();
  try {
    await Promise.all(services.map(async (name) => place.start(name, `apps/${name}/src/main.ts`, await environmentOf(place, name))));
    const { env, readyFile } = await environmentOf(place, 'api');
    const tokens = join(place.dir, 'api/tokens.json');
    writeFileSync(tokens, JSON.stringify({ tokens: [{ token, credential: 'bench' }] }), { mode: 0o600 });
    await place.start('api', 'apps/api/src/main.ts', { env: { ...env, OSIER_TOKENS_FILE: tokens, OSIER_API_PORT: '0' }, readyFile });
    await wish(place.bus, 'osier.intent._._._.domain.apply.setup', 'acme', {});
    await wish(place.bus, 'osier.intent.acme._._.project.apply.setup', 'shop', {});
    await wish(place.bus, 'osier.intent.acme.shop._.environment.apply.setup', 'staging', {});
    await wish(place.bus, 'osier.intent._._._.node.apply.setup', 'node-1', { tunnelEndpoint: '192.0.2.11' });
    await wish(place.bus, 'osier.intent.acme.shop.staging.network.apply.setup', 'main', { subnets: ['172.16.0.0/12'] });
    return { ...place, api: (JSON.parse(readFileSync(readyFile, 'utf8')) as { url: string }).url };
  } catch (error) {
    await place.close();
    throw error;
  }
}

/** What Osier published last for an intent of this kind: the pattern for raw messages. */
export async function samples(bus: Bus, noun: string): Promise<{ state: Sample; outcome: Sample }> {
  const sample = async (stream: string, subject: string): Promise<Sample> => {
    const message = await bus.last(stream, subject);
    if (message === undefined) throw new Error(`${stream} has nothing on ${subject}`);
    const others = Object.entries(message.headers).filter(([name]) => name.toLowerCase() !== headers.expectedLastSubjectSequence.toLowerCase());
    return { subject: message.subject, headers: Object.fromEntries(others), text: Buffer.from(message.data).toString() };
  };
  return { state: await sample('CHANGES', `osier.state.acme.shop.staging.${noun}.*.*`), outcome: await sample('OUTCOMES', 'osier.outcome.acme.shop.*') };
}

/**
 * The same server, streams, publisher and durable consumers; in the place of the services are programs that only store and read: one takes intents and publishes
 * a state and an outcome for each (`raw-owner.ts`), one reads the states and the outcomes that other services read (`raw-reader.ts`).
 */
export async function raw(sample: { state: Sample; outcome: Sample }): Promise<Installation> {
  const place = await installation();
  try {
    const filters = intentsOf('policy').map(({ noun, verb }) => intentPattern(noun, verb));
    const declare = (durable: string, stream: string, these?: readonly string[]) =>
      place.bus.ensureConsumer(durable, { stream, ...(these && { filters: these }), ackPolicy: 'explicit', ackWaitMs: 30_000, maxAckPending });
    await declare('intents-policy', 'INTENTS', filters);
    await declare('known-tenant', 'STATE', ['network', 'policy'].map((noun) => statePattern({ noun: noun as Kind })));
    await declare('outcomes-topology', 'OUTCOMES');
    const start = async (name: string, orders: (common: { readyFile: string; maxAckPending: number }) => RawOrders | ReaderOrders): Promise<void> => {
      const [file, readyFile] = [join(place.dir, `${name}.json`), join(place.dir, `${name}.ready`)];
      writeFileSync(file, JSON.stringify(orders({ readyFile, maxAckPending })), { mode: 0o600 });
      await place.start(name, `test/bench/bus/${name}.ts`, { args: [file], readyFile });
    };
    // What they publish is of one service, and what they do with consumers of several.
    const [owner, reader] = [await place.login('admin'), await place.login('admin')];
    await start('raw-owner', (common) => ({ ...owner, ...common, durable: 'intents-policy', ...sample }));
    await start('raw-reader', (common) => ({ ...reader, ...common, consumers: [['STATE', 'known-tenant'], ['OUTCOMES', 'outcomes-topology']] }));
    return place;
  } catch (error) {
    await place.close();
    throw error;
  }
}
