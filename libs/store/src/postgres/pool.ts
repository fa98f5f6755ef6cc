/** What is used here of the driver's pool and its clients. */
export interface Pool {
  connect(): Promise<Client>;
}
interface Client {
  release(error?: boolean): void;
  once(event: 'end', listener: () => void): unknown;
  removeListener(event: 'end', listener: () => void): unknown;
}

/**
 * Lets a connection that was lost go back to its pool by itself. The query builder gives one back when its transaction has been
 * rolled back, which cannot succeed on a connection that is gone: the pool of one would wait for it for ever.
 */
export function givenBackWhenLost(pool: Pool): void {
  const connect = pool.connect.bind(pool);
  pool.connect = async () => {
    const client = await connect();
    const release = client.release.bind(client);
    let released = false;
    const once = (error?: boolean): void => {
      if (released) return;
      released = true;
      client.removeListener('end', lost);
      release(error);
    };
    const lost = (): void => once(true);
    client.once('end', lost);
    client.release = once;
    return client;
  };
}
