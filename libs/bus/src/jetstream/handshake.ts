import { readFileSync } from 'node:fs';
import { connect as dial, isIP, type Socket } from 'node:net';
import { connect as secure } from 'node:tls';
import { type TlsFiles, tlsOptions, type TlsRefused, tlsRefusal } from '../tls.ts';

/** Milliseconds. A server that wants a certificate of the client says so only after its own was accepted. */
const patience = { connect: 2_000, afterwards: 500 };

/**
 * Why TLS with this server fails, found out on a connection of its own that sends no login: the client's own attempts end in a mere time-out where the
 * server asks for a certificate, and tell nothing at all while they go on.
 */
export async function whyNoTls(url: string, files: TlsFiles | undefined): Promise<TlsRefused | undefined> {
  for (const server of url.split(',')) {
    const error = await fault(server, url, files).catch((failed: unknown) => failed);
    const found = error === undefined ? undefined : tlsRefusal(error, url, files);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function fault(server: string, url: string, files: TlsFiles | undefined): Promise<unknown> {
  const { hostname, port } = new URL(server.trim().replace(/^([a-z]+:\/\/)?/i, 'http://'));
  const host = hostname.replace(/^\[|\]$/g, '');
  const { checkServerIdentity, minVersion } = tlsOptions(url, files) as { checkServerIdentity: never; minVersion: 'TLSv1.2' };
  const read = (file: string | undefined): Buffer | undefined => (file === undefined ? undefined : readFileSync(file));
  const [ca, cert, key] = [read(files?.ca), read(files?.cert), read(files?.key)];
  const socket = dial({ host, port: Number(port === '' ? 4222 : port) });
  try {
    const greeting = await event(socket, 'data', patience.connect);
    if (greeting === undefined) return undefined;
    if (!/"tls_(required|available)":\s*true/.test(String(greeting))) return new Error("server does not support 'tls'");
    const over = secure({ socket, minVersion, checkServerIdentity, ...(isIP(host) === 0 ? { servername: host } : {}), ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
    await event(over, 'secureConnect', patience.connect);
    await event(over, 'data', patience.afterwards);
    return undefined;
  } finally {
    socket.destroy();
  }
}

/** What comes first: the event with its argument, nothing in time, or an error that is thrown. */
function event(socket: Socket, name: string, withinMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), withinMs);
    const end = (done: () => void) => {
      clearTimeout(timer);
      done();
    };
    socket.on('error', (error) => end(() => reject(error)));
    socket.once(name, (given: unknown) => end(() => resolve(given ?? true)));
  });
}
