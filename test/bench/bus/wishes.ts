/** Intents as they are published: each `@` becomes the name of one object, which no other intent names, and `#` two octets of its own. */
export interface Wish { readonly subject: string; readonly type: string; readonly body: string }

export const domain = 'acme';
export const credential = 'bench';
const place = `${domain}.shop.staging`;
const apply = (noun: string, body: unknown): Wish => ({ subject: `osier.intent.${place}.${noun}.apply.${credential}`, type: `io.osier.${noun}.apply`, body: JSON.stringify(body) });

export const wishes = {
  policy: apply('policy', {
    name: '@',
    spec: {
      appliesTo: { matchTags: { app: 'database' } },
      ingress: [{ name: 'from-api', from: [{ endpoints: { matchTags: { app: 'api' } } }], ports: [{ protocol: 'TCP', port: 5432 }] }],
    },
  }),
  network: apply('network', { name: '@', spec: { subnets: ['10.#.0/24'] } }),
  endpoint: apply('endpoint', { name: '@', spec: { network: 'main', node: 'node-1', tags: { app: 'frontend' }, attachment: { containerId: '@' } } }),
} as const satisfies Record<string, Wish>;
export type WishName = keyof typeof wishes;

/** Always of the same length, so that all intents are. */
const nameOf = (number: number): string => `object-${String(number).padStart(6, '0')}`;
export const bodyOf = (body: string, number: number): string => body.replaceAll('@', nameOf(number)).replaceAll('#', `${(number >> 8) & 255}.${number & 255}`);
export const urlOf = (url: string, number: number): string => `${url}/${nameOf(number)}`;
