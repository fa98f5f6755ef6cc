import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Lab } from '@osier/lab/lab';
import { orphans, rowsOf, unfinished } from './databases.ts';
import { consumersOf, streamInfo } from './raw.ts';

/** What still goes on: nothing, some time after the last intent. */
async function goingOn(lab: Lab, nats: NatsConnection): Promise<string[]> {
  const open: string[] = [];
  const rows = unfinished(lab);
  if (rows > 0) open.push(`${rows} rows in outboxes and waiting lists`);
  for (const stream of ['INTENTS', 'OUTCOMES', 'STATE']) {
    for (const consumer of await consumersOf(nats, stream)) {
      if (!/^(intents|outcomes|known)-/.test(consumer.name)) continue;
      if (consumer.num_pending + consumer.num_ack_pending > 0) open.push(`${consumer.name}: ${consumer.num_pending} to deliver, ${consumer.num_ack_pending} to acknowledge`);
    }
  }
  const [changes, state] = [await streamInfo(nats, 'CHANGES'), await streamInfo(nats, 'STATE')];
  if (state.last_seq !== changes.last_seq) open.push(`STATE is at ${state.last_seq}, CHANGES at ${changes.last_seq}`);
  open.push(...orphans(rowsOf(lab)).slice(0, 10));
  const documents = Math.max(0, ...rowsOf(lab).map(({ revision }) => revision));
  const nodes = await lab.client.nodes();
  for (const node of nodes) {
    if (node.state !== 'ready') open.push(`${node.name} is ${node.state}`);
    if (node.revision < documents) open.push(`${node.name} has confirmed revision ${node.revision}, and ${documents} is out`);
    for (const pending of node.receipt?.pending ?? []) open.push(`${node.name}: ${pending.path}: ${pending.code}: ${pending.reason}`);
  }
  if (nodes.length !== lab.record.nodes.length) open.push(`${nodes.length} nodes`);
  return open;
}

/** Waits until nothing goes on any more; what does when the time is over. */
export async function quiet(lab: Lab, nats: NatsConnection, withinMs: number): Promise<{ ms: number; open: readonly string[] }> {
  const started = Date.now();
  let [open, times]: [string[], number] = [['not looked yet'], 0];
  while (Date.now() - started < withinMs && times < 2) {
    open = await goingOn(lab, nats).catch((error: Error) => [`cannot be asked: ${error.message}`]);
    times = open.length === 0 ? times + 1 : 0;
    await sleep(500);
  }
  return { ms: Date.now() - started, open };
}
