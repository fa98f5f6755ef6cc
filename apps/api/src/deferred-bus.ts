import { type Bus, BusUnavailable } from '@osier/bus/bus';

/**
 * A bus that is still connecting: until then everything fails as it does when the server is away, so that the door can be open
 * and say so. Only what the api uses; the rest is refused.
 */
export function deferredBus(connecting: Promise<Bus>): Pick<Bus, 'publish' | 'last' | 'stream' | 'read' | 'request' | 'purge' | 'connected' | 'snapshot' | 'restore' | 'deleteStream' | 'ensureStreams' | 'tell' | 'listen' | 'close'> {
  let bus: Bus | undefined;
  const connected = connecting.then((made) => (bus = made));
  const now = (): Bus => {
    if (bus === undefined) throw new BusUnavailable('not connected yet');
    return bus;
  };
  return {
    publish: async (...args) => now().publish(...args),
    last: async (...args) => now().last(...args),
    stream: async (...args) => now().stream(...args),
    request: async (...args) => now().request(...args),
    purge: async (...args) => now().purge(...args),
    snapshot: async (...args) => now().snapshot(...args),
    restore: async (...args) => now().restore(...args),
    deleteStream: async (...args) => now().deleteStream(...args),
    ensureStreams: async (...args) => now().ensureStreams(...args),
    tell: async (...args) => now().tell(...args),
    // Before anything can be asked.
    listen: async (...args) => (await connected).listen(...args),
    async *read(o) {
      yield* now().read(o);
    },
    get connected() {
      return bus?.connected ?? false;
    },
    // A connection that is still being made ends with the process.
    close: async () => (bus === undefined ? undefined : (await connected).close()),
  };
}
