import { afterAll, beforeAll } from '@jest/globals';
import { storeContract } from '../contract.ts';
import { openPostgres } from './open.ts';
import { type PostgresServer, startPostgres } from './server.ts';

let server: PostgresServer;
let schemas = 0;
beforeAll(async () => void (server = await startPostgres()), 30_000);
afterAll(() => server.remove());

storeContract('PostgreSQL', () => openPostgres({ url: server.url, service: `contract_${++schemas}` }));
