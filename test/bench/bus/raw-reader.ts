// Whoever else reads in an installation, without what he does with it: states and outcomes are fetched from the durable consumers that the services have, and acknowledged.
import { readFileSync, writeFileSync } from 'node:fs';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { authenticatorOf } from '@osier/bus/login';

export interface ReaderOrders { readonly url: string; readonly jwt: string; readonly seed: string; readonly maxAckPending: number; readonly readyFile: string; readonly consumers: readonly (readonly [stream: string, durable: string])[] }

const orders = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as ReaderOrders;
const nats = await connect({ servers: orders.url, authenticator: authenticatorOf(() => orders), name: 'raw reader', reconnect: false, noAsyncTraces: true });
for (const [stream, durable] of orders.consumers) {
  const consumer = await jetstream(nats).consumers.get(stream, durable);
  await consumer.consume({ max_messages: orders.maxAckPending, callback: (message) => message.ack() });
}
writeFileSync(orders.readyFile, 'ready');
process.on('SIGTERM', () => process.exit(0));
