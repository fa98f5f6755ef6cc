import { BusRefused } from './bus.ts';

/** On how many servers each stream is kept. An even number survives no more than the odd one below it; with five every message waits for three. */
export const streamReplicas = [1, 3] as const;
export type StreamReplicas = (typeof streamReplicas)[number];

/** Three copies were asked of a server that is alone. Waiting does not mend it. */
export class NotClustered extends BusRefused {
  readonly fix = 'Run three nats-servers with a `cluster` block (docs/operations.md, Three NATS servers), or set OSIER_STREAM_REPLICAS=1 for every service.';
  constructor(replicas: number) {
    super(`OSIER_STREAM_REPLICAS is ${replicas}, and the nats-server is not part of a cluster.`);
  }
}
