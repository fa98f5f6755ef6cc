import type { AppWorkload } from '../kubernetes/application.ts';

/** The application of the demonstration; its policies are `examples/shop/environment/policies.yaml`. */
const workload = (name: string, tags: Record<string, string>, port: number): AppWorkload => ({ name, tags: { app: name, ...tags }, ports: [{ name: 'main', protocol: 'TCP', port }] });
export const shop: readonly AppWorkload[] = [
  workload('web', { tier: 'front' }, 8080),
  workload('cart', { tier: 'service' }, 7070),
  workload('orders', { tier: 'service' }, 7080),
  workload('db', { tier: 'data' }, 5432),
];
export const shopEnvironments = ['staging', 'production'] as const;

/** Who must reach whom, written by hand from the picture in the policies' file, not worked out from them. */
export const mayReach: Readonly<Record<string, readonly string[]>> = {
  web: ['cart', 'orders'],
  cart: ['web', 'db'],
  orders: ['web', 'db'],
  db: [],
};
export const expected = (from: string, to: string): boolean => {
  const [here, source = ''] = from.split('/');
  const [there, target = ''] = to.split('/');
  return here === there && (mayReach[source] ?? []).includes(target);
};
