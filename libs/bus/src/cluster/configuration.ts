/** One server of a cluster. Whoever has `user` and `password` can join it and sees all of it: they are a secret like those of the services. */
export interface ClusterInput {
  /** The same on every server. */
  readonly name: string;
  /** `host:port` on which the others reach it. */
  readonly listen: string;
  /** `host:port` under which the others are told to reach it, where that is not `listen`. */
  readonly advertise?: string;
  /** `host:port` of the others. */
  readonly routes: readonly string[];
  readonly user: string;
  readonly password: string;
}

const clusterName = /^[A-Za-z0-9_-]{1,64}$/;
const hostPort = /^[^\s/@]+:\d{1,5}$/;
/** Seconds within which who connects has to say who he is. */
const loginWithin = 2;

/** Pure: the block `cluster` of a nats-server configuration. `quote` writes a string of its language; `tls`: the servers show each other their certificates. */
export function clusterBlock(c: ClusterInput, serverName: string | undefined, quote: (value: string) => string, tls?: string): string {
  const wrong = (what: string): Error => new Error(`cannot write a NATS configuration: ${what}`);
  if (serverName === undefined) throw wrong('a server of a cluster needs a serverName that no other has');
  if (!clusterName.test(c.name)) throw wrong(`the cluster's name ${JSON.stringify(c.name.slice(0, 80))} has characters that it may not have`);
  // Without them anybody who reaches the port is a server of the cluster.
  if (c.user === '' || c.password === '') throw wrong('a cluster needs a user and a password for its routes');
  for (const address of [c.listen, ...c.routes, ...(c.advertise === undefined ? [] : [c.advertise])]) {
    if (!hostPort.test(address)) throw wrong(`${JSON.stringify(address.slice(0, 80))} is not host:port`);
  }
  const login = `${encodeURIComponent(c.user)}:${encodeURIComponent(c.password)}`;
  return [
    'cluster {',
    `  name: ${quote(c.name)}`,
    `  listen: ${quote(c.listen)}`,
    ...(c.advertise === undefined ? [] : [`  advertise: ${quote(c.advertise)}`]),
    `  authorization { user: ${quote(c.user)}, password: ${quote(c.password)}, timeout: ${loginWithin} }`,
    ...(tls === undefined ? [] : [`  ${tls}`]),
    `  routes: [${c.routes.map((route) => `\n    ${quote(`nats-route://${login}@${route}`)}`).join('')}\n  ]`,
    '}',
  ].join('\n');
}
