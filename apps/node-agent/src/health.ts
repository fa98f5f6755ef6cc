import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Log } from '@osier/telemetry/log';

export interface Health { readonly port: number | undefined; ready(): void; stop(): void }

/** `/healthz`: the process runs. `/readyz`: it has enforced a complete world at least once. On loopback only; no port: none. */
export async function startHealth(port: number | undefined, log: Log): Promise<Health> {
  let isReady = false;
  if (port === undefined) return { port: undefined, ready: () => (isReady = true), stop: () => undefined };
  const server = createServer((request, response) => {
    const known = request.url === '/healthz' || request.url === '/readyz';
    const ok = request.url === '/healthz' || isReady;
    response.writeHead(!known ? 404 : ok ? 200 : 503, { 'content-type': 'application/json' }).end(JSON.stringify({ ok: known && ok }));
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const bound = (server.address() as AddressInfo).port;
  log.info({ port: bound }, 'health is told here');
  return { port: bound, ready: () => (isReady = true), stop: () => server.close() };
}
