import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsConfiguration } from '@osier/bus/accounts';
import type { Bus } from '@osier/bus/bus';
import type { ServiceName } from '@osier/bus/grants';
import { type Installation as Keys, newInstallation } from '@osier/bus/installation';
import { connectBus } from '@osier/bus/jetstream';
import { keyOf } from '@osier/bus/keys';
import { freePort, type NatsServer, startNatsServer } from '@osier/bus/server';
import type { StartCompanion } from '@osier/runtime/companion';
import { serve } from '@osier/runtime/serve';
import { type AnyDefinition, createService } from '@osier/runtime/service';
import { memoryStore } from '@osier/store/memory';
import type { Store } from '@osier/store/store';
import type { Log } from '@osier/telemetry/log';
import { v7 } from 'uuid';
import { type RunningApi, startApi } from '../../../apps/api/src/app.ts';
import { authenticator } from '../../../apps/api/src/tokens.ts';
import { definition as ipam } from '../../../apps/ipam/src/handlers.ts';
import { definition as policy } from '../../../apps/policy/src/handlers.ts';
import { accountsOver } from '../../../apps/tenant/src/companion.ts';
import { definition as tenant } from '../../../apps/tenant/src/handlers.ts';
import { companion as coordinator } from '../../../apps/topology/src/companion.ts';
import { definition as topology } from '../../../apps/topology/src/handlers.ts';
import { type Answer, call } from './http.ts';

/**
 * A whole installation on a real nats-server that trusts an operator: the four services and the door, each with its own login and no more, as they run anywhere.
 * Only the stores are in memory.
 */
export interface Live {
  readonly server: NatsServer;
  readonly keys: Keys;
  readonly api: RunningApi;
  /** With which whoever installs looks at the bus: sees all of the services' account. */
  readonly bus: Bus;
  /** At the door, with a token that may do everything. */
  root(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Ends a service as a stop would, and starts it again on the store that it had. */
  stop(service: ServiceName): Promise<void>;
  start(service: ServiceName): Promise<void>;
  /** What services and door have complained of. */
  complaints(): string[];
  /** What nats-server has refused to services and door. */
  violations(): string[];
  close(): Promise<void>;
}

const rootToken = 'the-token-of-whoever-installed-it';
const parts: Readonly<Record<string, AnyDefinition>> = { tenant, ipam, topology, policy };

/** Keeps what is said in earnest. */
function attentive(service: string, heard: string[]): Log {
  const note = (level: string) => (facts: object, sentence: string): void => {
    const { err } = facts as { err?: unknown };
    heard.push(`${level} ${service}: ${sentence} ${err instanceof Error ? err.message : JSON.stringify(facts)}`);
  };
  return { debug: () => {}, info: () => {}, warn: note('warn'), error: note('error') };
}

export async function startLive(): Promise<Live> {
  const dir = mkdtempSync(join(tmpdir(), 'osier-live-'));
  const keys = await newInstallation();
  const server = await startNatsServer({ dir, config: natsConfiguration({ listen: `127.0.0.1:${await freePort()}`, storeDir: join(dir, 'js'), trust: keys.trust }) });
  const heard: string[] = [];
  // The server names who was refused by his key.
  const serviceKeys: string[] = [];
  const connected = async (name: ServiceName): Promise<Bus> => {
    const login = await keys.service(name);
    serviceKeys.push(keyOf(login.seed).getPublicKey());
    return connectBus({ url: server.url, ...login, name: `osier-${name}` });
  };
  const stores = new Map<string, Store>();
  const running = new Map<string, () => Promise<void>>();
  const companions: Readonly<Record<string, StartCompanion>> = { tenant: accountsOver({ url: server.url, tls: undefined }, keys.authority), topology: coordinator };

  const start = async (name: ServiceName): Promise<void> => {
    const definition = parts[name];
    if (definition === undefined) throw new Error(`${name} is no service`);
    const store = stores.get(name) ?? memoryStore({ now: Date.now });
    stores.set(name, store);
    const [bus, log] = [await connected(name), attentive(name, heard)];
    const serving = await serve(createService(definition, { bus, store, log, now: Date.now, newId: () => v7(), companion: companions[name] }), bus, log);
    running.set(name, async () => {
      await serving.stop();
      await bus.close();
    });
  };
  const stop = async (name: string): Promise<void> => {
    await running.get(name)?.();
    running.delete(name);
  };
  for (const name of ['tenant', 'ipam', 'topology', 'policy'] as const) await start(name);
  const door = await connected('api');
  const api = await startApi({
    bus: door, authenticate: authenticator([{ token: rootToken, credential: 'platform-root' }]), log: attentive('api', heard), host: '127.0.0.1', port: 0,
    limits: { askingPerSecond: 100_000, askingBurst: 100_000, guessesPerSecond: 100_000, guessesBurst: 100_000 },
  });
  const bus = await connected('admin');
  return {
    server, keys, api, bus, start, stop,
    root: (method, path, body, headers = {}) => call(api.url, method, path, { ...(body === undefined ? {} : { body: JSON.stringify(body) }), headers: { authorization: `Bearer ${rootToken}`, ...headers } }),
    complaints: () => [...heard],
    violations: () => server.log().split('\n').filter((line) => /Violation/.test(line) && serviceKeys.some((key) => line.includes(key))),
    close: async () => {
      await api.stop();
      for (const name of [...running.keys()]) await stop(name);
      await Promise.all([door.close(), bus.close()]);
      await Promise.all([...stores.values()].map((store) => store.close()));
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export async function eventually<T>(what: () => T | Promise<T>, withinMs = 8_000): Promise<NonNullable<T>> {
  for (const until = Date.now() + withinMs; ; await sleep(10)) {
    const found = await what();
    if (found !== undefined && found !== null && found !== false) return found;
    if (Date.now() > until) throw new Error(`did not come true in ${withinMs} ms: ${what.toString()}`);
  }
}
