import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { natsConfiguration } from './accounts.ts';
import { busContract } from './contract.ts';
import { connectBus } from './jetstream.ts';
import { memoryBroker } from './memory.ts';
import { freePort, startNatsServer } from './server.ts';

busContract('in memory', async () => {
  const broker = memoryBroker();
  return { connect: async (name) => broker.connect(name), close: async () => undefined };
});

busContract('JetStream', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'osier-bus-'));
  const [user, password] = ['osier-test', 'secret'];
  const listen = `127.0.0.1:${await freePort()}`;
  const server = await startNatsServer({ dir, config: natsConfiguration({ listen, storeDir: join(dir, 'js'), services: [{ user, password }], domains: [], nodes: [] }) });
  return {
    connect: (name) => connectBus({ url: server.url, user, password, name }),
    close: async () => {
      await server.stop();
      rmSync(dir, { recursive: true });
    },
  };
});
