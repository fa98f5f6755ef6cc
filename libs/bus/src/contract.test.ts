import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { natsConfiguration } from './accounts.ts';
import { busContract } from './contract.ts';
import { newInstallation } from './installation.ts';
import { connectBus } from './jetstream.ts';
import { memoryBroker } from './memory.ts';
import { freePort, startNatsServer } from './server.ts';

busContract('in memory', async () => {
  const broker = memoryBroker();
  return { connect: async (name) => broker.connect(name), close: async () => undefined };
});

busContract('JetStream', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'osier-bus-'));
  const keys = await newInstallation();
  const login = await keys.service('admin');
  const listen = `127.0.0.1:${await freePort()}`;
  const server = await startNatsServer({ dir, config: natsConfiguration({ listen, storeDir: join(dir, 'js'), trust: keys.trust }) });
  return {
    connect: (name) => connectBus({ url: server.url, ...login, name }),
    close: async () => {
      await server.stop();
      rmSync(dir, { recursive: true });
    },
  };
});
