import { createServer, connect, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/** A way from one server of a cluster to another that can be interrupted: both ends stay connected, and nothing arrives any more. */
export interface Link {
  readonly port: number;
  /** Nothing passes: what is on the way is lost, and what is sent afterwards too. */
  cut(): void;
  /** What was connected while it was cut ends, as it does when a network comes back to sessions that have gone astray; what connects from now on gets through. */
  mend(): void;
  close(): Promise<void>;
}

export async function openLink(to: number): Promise<Link> {
  let isCut = false;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket, other: () => Socket | undefined): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('data', (data) => void (isCut ? undefined : other()?.write(data)));
    socket.on('close', () => {
      sockets.delete(socket);
      if (!isCut) other()?.destroy();
    });
  };
  const server: Server = createServer((near) => {
    const far = isCut ? undefined : connect(to, '127.0.0.1');
    keep(near, () => far);
    if (far !== undefined) keep(far, () => near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const end = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: address.port,
    cut: () => void (isCut = true),
    mend: () => {
      end();
      isCut = false;
    },
    close: async () => {
      end();
      server.close();
      await once(server, 'close');
    },
  };
}
