import { describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { JetStreamStrategy } from './nest.ts';
import { memoryBroker } from './memory.ts';

class AppModule {}
Module({})(AppModule);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const subject = 'osier.state.acme.shop.staging.network._.n';

describe('the bus as a Nest transport', () => {
  it('given a handler that takes its time, acknowledges only when it is done, and answers questions', async () => {
    const broker = memoryBroker();
    const bus = broker.connect('service');
    await bus.ensureStreams();
    const steps: string[] = [];
    const strategy = new JetStreamStrategy({
      bus,
      consumers: [{
        stream: 'CHANGES', durable: 'service', declaration: { stream: 'CHANGES' },
        onBatch: async (batch) => {
          steps.push('begun');
          await new Promise((resolve) => setTimeout(resolve, 30));
          expect(await bus.consumer('CHANGES', 'service')).toMatchObject({ ackPending: batch.length });
          for (const delivery of batch) delivery.ack();
          steps.push('done');
        },
      }],
      responders: [{ pattern: 'osier.query.tenant.>', queue: 'tenant', answer: async () => ({ data: bytes('answer') }) }],
    });
    const app = await NestFactory.createMicroservice(AppModule, { strategy, logger: false });
    await app.listen();

    await bus.publish(subject, bytes('{}'));
    await broker.idle();
    expect(steps).toEqual(['begun', 'done']);
    expect(await bus.consumer('CHANGES', 'service')).toMatchObject({ ackPending: 0, pending: 0 });
    expect(new TextDecoder().decode((await bus.request('osier.query.tenant.acme._.list', bytes(''))).data)).toBe('answer');

    await app.close();
    await bus.publish(subject, bytes('{}'));
    await expect(bus.request('osier.query.tenant.acme._.list', bytes(''))).rejects.toThrow('nobody answers');
    expect(steps).toEqual(['begun', 'done']);
    expect(bus.connected).toBe(true);
  });

  it('given a consumer that can not be, fails to listen with the reason', async () => {
    const bus = memoryBroker().connect('service');
    await bus.ensureStreams();
    const consumers = [{ stream: 'CHANGES', durable: 'x', declaration: { stream: 'CHANGES', filters: ['a.>', 'a.b'] }, onBatch: async () => undefined }];
    const failure = await new Promise((resolve) => new JetStreamStrategy({ bus, consumers }).listen(resolve));
    expect(String(failure)).toMatch(/overlap/);
  });
});
