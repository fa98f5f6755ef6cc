// What a service does for NATS, and nothing else: for each intent from the durable consumer it publishes one message of a state's size, guarded by its subject's
// last sequence, and one of an outcome's size, both at once, and acknowledges the intent when both are stored. No database, no decision, no reading of the body.
// With the client's own JetStream library: a pull that is kept open for as many as the consumer lets out, acknowledgements of many publications in flight, no
// stack traces kept for requests (`noAsyncTraces`).
import { readFileSync, writeFileSync } from 'node:fs';
import { jetstream } from '@nats-io/jetstream';
import { connect, headers as natsHeaders, type MsgHdrs } from '@nats-io/transport-node';
import { authenticatorOf } from '@osier/bus/login';

/** What a real service published for one such intent: same sizes, same headers. */
export interface Sample { readonly subject: string; readonly headers: Readonly<Record<string, string>>; readonly text: string }
export interface RawOrders {
  readonly url: string; readonly jwt: string; readonly seed: string; readonly durable: string; readonly maxAckPending: number; readonly readyFile: string;
  readonly state: Sample; readonly outcome: Sample;
}

const orders = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as RawOrders;
const nats = await connect({ servers: orders.url, authenticator: authenticatorOf(() => orders), name: 'raw owner', reconnect: false, noAsyncTraces: true });
const stream = jetstream(nats);

/** The sample's subject with another id; ids of both have the same length. */
const elsewhere = ({ subject }: Sample): ((id: string) => string) => {
  const stem = subject.slice(0, subject.lastIndexOf('.') + 1);
  return (id) => stem + id;
};
const headersOf = ({ headers }: Sample): ((id: string) => MsgHdrs) => {
  const others = Object.entries(headers).filter(([name]) => name !== 'ce-id');
  return (id) => {
    const made = natsHeaders();
    made.set('ce-id', id);
    for (const [name, value] of others) made.set(name, value);
    return made;
  };
};
const state = { to: elsewhere(orders.state), headers: headersOf(orders.state), data: Buffer.from(orders.state.text) };
const outcome = { to: elsewhere(orders.outcome), headers: headersOf(orders.outcome), data: Buffer.from(orders.outcome.text) };
const none = { lastSubjectSequence: 0 };

const consumer = await stream.consumers.get('INTENTS', orders.durable);
await consumer.consume({
  max_messages: orders.maxAckPending,
  callback: (message) => {
    const id = message.headers?.get('ce-id') ?? '';
    Promise.all([
      stream.publish(state.to(id), state.data, { headers: state.headers(`${id}_1`), expect: none }),
      stream.publish(outcome.to(id), outcome.data, { headers: outcome.headers(id), expect: none }),
    ]).then(() => message.ack(), (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    });
  },
});
writeFileSync(orders.readyFile, 'ready');
process.on('SIGTERM', () => process.exit(0));
