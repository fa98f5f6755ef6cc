// A workload of the lab: listens on its ports, and tries to reach others when it is asked to. One process in each endpoint's namespace.
// usage: workload.ts SPEC_FILE
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { serveLines } from '@osier/lab/line-socket';
import { listen } from '@osier/lab/workload/listener';
import { type Conversation, openConversation, probeAll, transfer } from '@osier/lab/workload/probing';
import type { ProbeTarget, WorkloadPort, WorkloadSpec } from '@osier/lab/workload/protocol';

const spec = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as WorkloadSpec;
const greeting = { identity: spec.identity, nonce: randomBytes(16).toString('hex') };
const log = (event: Record<string, unknown>): void => console.log(JSON.stringify({ time: new Date().toISOString(), ...event }));
const listening = await listen({ greeting, ports: spec.ports, log });
let declared = spec.ports;
const conversations = new Map<string, Conversation>();

await serveLines(spec.control, async (question) => {
  const target = question.target as ProbeTarget;
  const timeoutMs = Number(question.timeoutMs ?? 1_000);
  const id = String(question.id ?? '');
  switch (question.do) {
    case 'hello':
      return { ...greeting, pid: process.pid, accepted: listening.accepted() };
    case 'probe':
      return { results: await probeAll(question.targets as ProbeTarget[], timeoutMs) };
    case 'serve': {
      const before = declared;
      declared = question.ports as WorkloadPort[];
      await listening.add(declared);
      listening.drop(before);
      return {};
    }
    case 'listen':
      await listening.add(question.ports as WorkloadPort[]);
      return {};
    case 'stop':
      listening.drop(question.ports as WorkloadPort[]);
      return {};
    case 'open': {
      const conversation = await openConversation(target, timeoutMs);
      conversations.get(id)?.close();
      conversations.set(id, conversation);
      return conversation.greeting;
    }
    case 'say': {
      const conversation = conversations.get(id);
      if (conversation === undefined) throw new Error(`there is no conversation "${id}"`);
      return { ms: await conversation.say(timeoutMs) };
    }
    case 'close':
      conversations.get(id)?.close();
      conversations.delete(id);
      return {};
    case 'transfer':
      return transfer(target, { megabitsPerSecond: Number(question.megabitsPerSecond), seconds: Number(question.seconds) });
    default:
      throw new Error(`a workload does not know "${String(question.do)}"`);
  }
});
log({ event: 'listening', identity: spec.identity, nonce: greeting.nonce, ports: spec.ports });
process.once('SIGTERM', () => process.exit(0));
