import { afterAll, beforeAll, jest } from '@jest/globals';
import { storeContract } from '../contract.ts';
import { openPostgres } from './open.ts';
import { type PostgresServer, startPostgres } from './server.ts';

jest.setTimeout(60_000);
let server: PostgresServer;
let schemas = 0;
beforeAll(async () => void (server = await startPostgres()));
afterAll(() => server.remove());

storeContract('PostgreSQL', () => openPostgres({ url: server.url, service: `contract_${++schemas}` }));
