const known = new Map<string, Promise<typeof fetch>>();

/**
 * `fetch` for a server whose certificate this authority (PEM) has signed, and no other. Without one: the fetch that there is. Node's own takes no
 * authority, so the library that it is made of is loaded, where it is needed.
 */
export async function fetchTrusting(ca: string | undefined): Promise<typeof fetch> {
  if (ca === undefined) return fetch;
  const made = known.get(ca) ?? trusting(ca);
  known.set(ca, made);
  return made;
}

async function trusting(ca: string): Promise<typeof fetch> {
  const { Agent, fetch: own } = await import('undici');
  const dispatcher = new Agent({ connect: { ca, minVersion: 'TLSv1.2' } });
  return ((url: string, options: object) => own(url, { ...options, dispatcher })) as unknown as typeof fetch;
}
