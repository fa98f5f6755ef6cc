import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bus } from '@osier/bus/bus';
import { type MemoryBroker, memoryBroker } from '@osier/bus/memory';
import { helloTopic, interestSubject, nodeConsumer } from '@osier/contracts/coordination';
import { barrierSubject, observationSubject, stateSubject } from '@osier/contracts/subjects';
import type { Companion } from '@osier/runtime/companion';
import { silent } from '@osier/telemetry/log';
import { startCoordinator } from './coordinator.ts';

const id = '01997f5e-5b3c-7cc0-8000-000000000001';
const nowhere = { domain: '_', project: '_', environment: '_' };
const node = { kind: 'node', id, name: 'node-1', parent: '_', phase: 'active', version: 1, createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z', intent: 'i', ...nowhere, spec: { tunnelEndpoint: '192.0.2.1' }, status: {} };
const bytes = (body: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(body));
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let broker: MemoryBroker;
let bus: Bus;
let coordinator: Companion;
let whole: boolean;
const putNode = () => bus.publish(stateSubject({ ...nowhere, noun: 'node', parent: '_', id }), bytes(node));
const hello = (session: string) => bus.publish(observationSubject('node-1', helloTopic), bytes({ node: 'node-1', session, at: '2026-01-01T00:00:00Z' }));
async function start(): Promise<void> {
  coordinator = await startCoordinator({ bus: broker.connect('topology'), log: silent, now: Date.now, publishIntent: async () => undefined, whole: () => whole });
}
async function until(look: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 5_000; !(await look()); await pause(20)) if (Date.now() > end) throw new Error('not within 5 s');
}

beforeEach(async () => {
  broker = memoryBroker();
  bus = broker.connect('test');
  await bus.ensureStreams();
  await putNode();
});
afterEach(async () => {
  await coordinator.stop();
  await bus.close();
});

describe('while the streams are being filled again', () => {
  it('no agent that begins is told anything, and no barrier says that all is there', async () => {
    whole = false;
    await start();
    for (let i = 0; i < 10; i++) await hello('one').then(() => pause(70));
    expect(await bus.consumer('STATE', nodeConsumer('node-1'))).toBeUndefined();
    expect(await bus.last('CHANGES', barrierSubject)).toBeUndefined();
    whole = true;
    await hello('one');
    await until(async () => (await bus.consumer('STATE', nodeConsumer('node-1'))) !== undefined);
    await until(async () => (await bus.last('CHANGES', barrierSubject)) !== undefined);
  });

  it('a coordinator that goes on says nothing either, and tells each node anew afterwards, though its interest was lost', async () => {
    whole = true;
    await start();
    await until(async () => {
      await hello('one');
      return (await bus.last('CHANGES', interestSubject(id))) !== undefined;
    });
    whole = false;
    for (const name of ['STATE', 'CHANGES']) await bus.deleteStream(name);
    await bus.ensureStreams({ CHANGES: 1_000_000, STATE: 1_000_000 });
    await putNode();
    for (let i = 0; i < 13; i++) await hello('two').then(() => pause(100));
    expect(await bus.consumer('STATE', nodeConsumer('node-1'))).toBeUndefined();
    expect((await bus.stream('CHANGES'))?.lastSequence).toBe(1_000_001);
    whole = true;
    await until(async () => (await bus.consumer('STATE', nodeConsumer('node-1'))) !== undefined && (await bus.last('CHANGES', interestSubject(id))) !== undefined);
  }, 20_000);
});
