import { describe, expect, it } from '@jest/globals';
import { type Bus, BusRefused, type ConsumerDeclaration, type Delivery, type Published } from '../bus.ts';
import { all, bytes, type BusUnderTest, consumerName, eventually, scope, state, text, watch } from './tools.ts';

/** What holds of durable consumers and their filters. */
export function consumingContract(bus: () => Bus, under: () => BusUnderTest): void {
  const put = (subject: string, body: string): Promise<Published> => bus().publish(subject, bytes(body));

  describe('consume', () => {
    it('hands over what is there in stream order, at most a batch at a time, and then what comes', async () => {
      const place = scope();
      for (let i = 0; i < 7; i++) await put(state(place, `e${i}`), `${i}`);
      const watched = await watch(bus(), consumerName(), { stream: 'CHANGES', filters: [all(place)] }, { batch: 3 });
      await eventually(watched.texts, (t) => t.length === 7);
      await put(state(place, 'e7'), '7');
      await eventually(watched.texts, (t) => t.length === 8);
      await watched.stop();
      expect(watched.texts()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
      expect(Math.max(...watched.batches)).toBe(3);
      expect(watched.seen[0]).toMatchObject({ stream: 'CHANGES', subject: state(place, 'e0'), deliveries: 1 });
    });
    it('never hands over a batch before the one before it is done', async () => {
      const place = scope();
      for (let i = 0; i < 6; i++) await put(state(place, `e${i}`), `${i}`);
      let at = 0;
      let most = 0;
      let done = 0;
      const consumption = await bus().consume({
        stream: 'CHANGES', durable: consumerName(), declaration: { stream: 'CHANGES', filters: [all(place)] }, batch: 2,
        onBatch: async (batch) => {
          most = Math.max(most, ++at);
          await new Promise((resolve) => setTimeout(resolve, 20));
          for (const delivery of batch) delivery.ack();
          done += batch.length;
          at--;
        },
      });
      await eventually(() => done, (n) => n === 6);
      await consumption.stop();
      expect(most).toBe(1);
    });
    it('given a pace, begins no batch sooner after the one before, and gathers what comes meanwhile', async () => {
      const place = scope();
      const batches: { at: number; size: number }[] = [];
      await put(state(place, 'e0'), '0');
      const consumption = await bus().consume({
        stream: 'CHANGES', durable: consumerName(), declaration: { stream: 'CHANGES', filters: [all(place)] }, paceMs: 300,
        onBatch: async (batch) => {
          batches.push({ at: performance.now(), size: batch.length });
          for (const delivery of batch) delivery.ack();
        },
      });
      await eventually(() => batches.length, (n) => n === 1);
      for (let i = 1; i < 5; i++) await put(state(place, `e${i}`), `${i}`);
      await eventually(() => batches.length, (n) => n === 2);
      await consumption.stop();
      expect(batches.map(({ size }) => size)).toEqual([1, 4]);
      expect((batches[1]?.at ?? 0) - (batches[0]?.at ?? 0)).toBeGreaterThanOrEqual(290);
    });
    it('goes on where it was after a stop, with another client too', async () => {
      const place = scope();
      const durable = consumerName();
      const declaration = { stream: 'CHANGES', filters: [all(place)] };
      await put(state(place, 'a'), 'one');
      const first = await watch(bus(), durable, declaration);
      await eventually(first.texts, (t) => t.length === 1);
      await first.stop();
      await put(state(place, 'b'), 'two');
      const other = await under().connect('another');
      const got: string[] = [];
      await other.consume({ stream: 'CHANGES', durable, declaration, onBatch: async (batch) => batch.forEach((d) => (got.push(text(d)), d.ack())) });
      await eventually(() => got, (g) => g.length === 1);
      expect(got).toEqual(['two']);
      await other.close();
    });
    it('brings again what was not acknowledged in time, what was asked for again, and what a failing handler left', async () => {
      const place = scope();
      for (const id of ['silent', 'naked', 'thrown', 'fine']) await put(state(place, id), id);
      const seen: string[] = [];
      const problems: string[] = [];
      const declaration = { stream: 'CHANGES', filters: [all(place)], ackWaitMs: 1_000 };
      const consumption = await bus().consume({
        stream: 'CHANGES', durable: consumerName(), declaration, batch: 1, onProblem: (problem) => problems.push(problem.message),
        onBatch: async ([delivery]) => {
          if (delivery === undefined) return;
          seen.push(`${text(delivery)} ${delivery.deliveries}`);
          if (delivery.deliveries > 1 || text(delivery) === 'fine') return delivery.ack();
          if (text(delivery) === 'naked') return delivery.nak(50);
          if (text(delivery) === 'thrown') throw new Error('handler failed');
        },
      });
      await eventually(() => seen, (s) => s.length === 7);
      await consumption.stop();
      expect([...seen].sort()).toEqual(['fine 1', 'naked 1', 'naked 2', 'silent 1', 'silent 2', 'thrown 1', 'thrown 2']);
      expect(problems).toContain('handler failed');
    });
    it('does not bring again what was terminated', async () => {
      const place = scope();
      await put(state(place, 'a'), 'a');
      const durable = consumerName();
      const watched = await watch(bus(), durable, { stream: 'CHANGES', filters: [all(place)], ackWaitMs: 200 }, { act: (d) => d.term('of no use') });
      await eventually(watched.texts, (t) => t.length === 1);
      await new Promise((resolve) => setTimeout(resolve, 500));
      await watched.stop();
      expect(watched.texts()).toEqual(['a']);
      expect(await bus().consumer('CHANGES', durable)).toMatchObject({ ackPending: 0, pending: 0 });
    });
    it('takes one acknowledgement for all before it where the consumer says so', async () => {
      const place = scope();
      const durable = consumerName();
      for (let i = 0; i < 5; i++) await put(state(place, `e${i}`), `${i}`);
      const watched = await watch(bus(), durable, { stream: 'CHANGES', filters: [all(place)], ackPolicy: 'all' }, { act: (d) => (text(d) === '4' ? d.ack() : undefined) });
      await eventually(watched.texts, (t) => t.length === 5);
      await eventually(() => bus().consumer('CHANGES', durable), (c) => c?.pending === 0 && c.ackPending === 0);
      await watched.stop();
      expect(watched.texts()).toHaveLength(5);
    });
    it('hands out no more than may be unacknowledged', async () => {
      const place = scope();
      for (let i = 0; i < 5; i++) await put(state(place, `e${i}`), `${i}`);
      const held: Delivery[] = [];
      const watched = await watch(bus(), consumerName(), { stream: 'CHANGES', filters: [all(place)], maxAckPending: 2 }, { act: (d) => held.push(d) });
      await eventually(() => held.length, (n) => n === 2);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(held).toHaveLength(2);
      for (const delivery of held.splice(0)) delivery.ack();
      await eventually(watched.texts, (t) => t.length >= 4);
      await watched.stop();
    });
    it('begins where it is told: at what is new, at a sequence', async () => {
      const place = scope();
      await put(state(place, 'a'), 'a');
      const b = await put(state(place, 'b'), 'b');
      const fresh = await watch(bus(), consumerName(), { stream: 'CHANGES', filters: [all(place)], from: 'new' });
      const since = await watch(bus(), consumerName(), { stream: 'CHANGES', filters: [all(place)], from: { sequence: b.sequence } });
      await put(state(place, 'c'), 'c');
      await eventually(since.texts, (t) => t.length === 2);
      await eventually(fresh.texts, (t) => t.length === 1);
      await Promise.all([fresh.stop(), since.stop()]);
      expect([fresh.texts(), since.texts()]).toEqual([['c'], ['b', 'c']]);
    });
    it('waits for a consumer that somebody else makes, and notices when it is made anew', async () => {
      const place = scope();
      const durable = consumerName();
      await put(state(place, 'a'), 'a');
      await eventually(() => bus().last('STATE', state(place, 'a')), (m) => m !== undefined);
      const watched = await watch(bus(), durable, undefined, { stream: 'STATE' });
      const declaration: ConsumerDeclaration = { stream: 'STATE', filters: [all(place)], from: 'last-per-subject', ackPolicy: 'all' };
      await bus().ensureConsumer(durable, declaration);
      await eventually(watched.texts, (t) => t.length === 1);
      await bus().deleteConsumer('STATE', durable);
      await put(state(place, 'b'), 'b');
      await eventually(() => bus().last('STATE', state(place, 'b')), (m) => m !== undefined);
      await bus().ensureConsumer(durable, declaration);
      await eventually(watched.texts, (t) => t.length === 3);
      await watched.stop();
      expect(watched.texts()).toEqual(['a', 'a', 'b']);
      expect(watched.problems.map((p) => p.name)).toContain('ConsumerMissing');
    });
    it('that began with the last of each subject is made sure of again, whatever a new one would begin with', async () => {
      const place = scope();
      const durable = consumerName();
      const { sequence } = await put(state(place, 'a'), 'a');
      await eventually(() => bus().last('STATE', state(place, 'a')), (m) => m !== undefined);
      const declaration = { stream: 'STATE', filters: [all(place)] };
      await bus().ensureConsumer(durable, { ...declaration, from: 'last-per-subject' });
      await bus().ensureConsumer(durable, { ...declaration, from: { sequence: sequence + 1 } });
      const watched = await watch(bus(), durable, { ...declaration, from: { sequence: sequence + 1 } });
      await eventually(watched.texts, (t) => t.length === 1);
      await watched.stop();
      expect(watched.texts()).toEqual(['a']);
    });
    it('brings first, at once and in its place, what an earlier life took and did not acknowledge', async () => {
      const place = scope();
      const declaration = { stream: 'CHANGES', filters: [all(place)] };
      const durable = consumerName();
      for (const id of ['a', 'b', 'c']) await put(state(place, id), id);
      const first = await watch(bus(), durable, declaration, { act: (d) => (text(d) === 'a' ? d.ack() : undefined) });
      await eventually(first.texts, (t) => t.length === 3);
      await first.stop();
      await eventually(() => bus().consumer('CHANGES', durable), (c) => c?.ackPending === 2);
      await put(state(place, 'd'), 'd');
      const second = await watch(bus(), durable, declaration);
      await eventually(second.texts, (t) => t.length === 3, 5_000);
      await second.stop();
      expect(second.texts()).toEqual(['b', 'c', 'd']);
    });
    it('shares a consumer between two who consume from it, and both go on when one of them joins', async () => {
      const place = scope();
      const declaration = { stream: 'CHANGES', filters: [all(place)] };
      const durable = consumerName();
      const done = new Set<string>();
      const share = async (client: Bus): Promise<{ stop(): Promise<void> }> => client.consume({
        stream: 'CHANGES', durable, declaration, batch: 4,
        onBatch: async (batch) => {
          await new Promise((resolve) => setTimeout(resolve, 2));
          for (const delivery of batch) {
            done.add(text(delivery));
            delivery.ack();
          }
        },
      });
      const first = await share(bus());
      const publishing = (async () => {
        for (let i = 0; i < 200; i++) await put(state(place, `e${i}`), `${i}`);
      })();
      await eventually(() => done.size, (n) => n > 5);
      const other = await under().connect('second');
      await share(other);
      await publishing;
      await eventually(() => done.size, (n) => n === 200);
      await eventually(() => bus().consumer('CHANGES', durable), (c) => c?.ackPending === 0 && c.pending === 0);
      await first.stop();
      await other.close();
    });
    it('given a consumer of somebody else, tells of deliveries that an earlier life took and that are not back yet', async () => {
      const place = scope();
      const durable = consumerName();
      const declaration = { stream: 'CHANGES', filters: [all(place)], ackPolicy: 'all' as const };
      await bus().ensureConsumer(durable, declaration);
      await put(state(place, 'a'), 'a');
      const first = await watch(bus(), durable, undefined, { act: () => undefined });
      await eventually(first.texts, (t) => t.length === 1);
      await first.stop();
      expect(first.gaps()).toBe(0);
      await put(state(place, 'b'), 'b');
      const second = await watch(bus(), durable, undefined, { act: () => undefined });
      await eventually(second.texts, (t) => t.length === 1);
      await second.stop();
      expect([second.texts(), second.gaps()]).toEqual([['b'], 1]);
      await bus().deleteConsumer('CHANGES', durable);
      await bus().ensureConsumer(durable, declaration);
      const anew = await watch(bus(), durable, undefined);
      await eventually(anew.texts, (t) => t.length === 2);
      await anew.stop();
      expect([anew.texts(), anew.gaps()]).toEqual([['a', 'b'], 0]);
    });
    it('makes its own consumer again when it was deleted', async () => {
      const place = scope();
      const durable = consumerName();
      const watched = await watch(bus(), durable, { stream: 'CHANGES', filters: [all(place)] });
      await bus().deleteConsumer('CHANGES', durable);
      await put(state(place, 'a'), 'a');
      await eventually(watched.texts, (t) => t.length === 1);
      await watched.stop();
    });
    it('refuses a consumer that can not be', async () => {
      const place = scope();
      const declare = (declaration: ConsumerDeclaration): Promise<void> => bus().ensureConsumer(consumerName(), declaration);
      await expect(declare({ stream: 'CHANGES', filters: [all(place), state(place, 'a')] })).rejects.toBeInstanceOf(BusRefused);
      await expect(declare({ stream: 'CHANGES', filters: [] })).rejects.toBeInstanceOf(BusRefused);
      await expect(declare({ stream: 'MISSING' })).rejects.toBeInstanceOf(BusRefused);
      await expect(watch(bus(), consumerName(), { stream: 'CHANGES', filters: ['a.>', 'a.b'] })).rejects.toBeInstanceOf(BusRefused);
    });
  });

  describe('filters', () => {
    it('from last-per-subject on brings the last of each subject in stream order, then what comes', async () => {
      const place = scope();
      for (const [id, body] of [['a', 'a1'], ['b', 'b1'], ['a', 'a2'], ['c', 'c1']] as const) await put(state(place, id), body);
      await put(state(place, 'p', 'policy'), 'p1');
      const filter = `osier.state.${place.domain}.*.*.endpoint.>`;
      const watched = await watch(bus(), consumerName(), { stream: 'CHANGES', filters: [filter], from: 'last-per-subject' });
      await eventually(watched.texts, (t) => t.length === 3);
      await put(state(place, 'b'), 'b2');
      await eventually(watched.texts, (t) => t.length === 4);
      await watched.stop();
      expect(watched.texts()).toEqual(['b1', 'a2', 'c1', 'b2']);
    });
    it('grown do not bring what the new ones would have matched before, but all that comes', async () => {
      const [here, there] = [scope(), scope()];
      const durable = consumerName();
      const watched = await watch(bus(), durable, { stream: 'CHANGES', filters: [all(here)], metadata: { session: 's1' } });
      await put(state(there, 'a'), 'there before');
      await put(state(here, 'a'), 'here');
      await eventually(watched.texts, (t) => t.length === 1);
      await bus().ensureConsumer(durable, { stream: 'CHANGES', filters: [all(here), all(there)], metadata: { session: 's2' } });
      await put(state(there, 'b'), 'there after');
      await eventually(watched.texts, (t) => t.length === 2);
      await watched.stop();
      expect(watched.texts()).toEqual(['here', 'there after']);
      const found = await bus().consumer('CHANGES', durable);
      expect(found).toMatchObject({ name: durable, pending: 0, metadata: { session: 's2' } });
      expect([...(found?.filters ?? [])].sort()).toEqual([all(here), all(there)].sort());
    });
    it('are listed with each consumer, and a deleted consumer is gone', async () => {
      const place = scope();
      const durable = consumerName();
      await put(state(place, 'a'), 'a');
      await bus().ensureConsumer(durable, { stream: 'CHANGES', filters: [all(place)] });
      expect((await bus().consumers('CHANGES')).find((c) => c.name === durable)).toMatchObject({ filters: [all(place)], pending: 1, ackPending: 0 });
      await bus().deleteConsumer('CHANGES', durable);
      await bus().deleteConsumer('CHANGES', durable);
      expect(await bus().consumer('CHANGES', durable)).toBeUndefined();
      expect((await bus().consumers('CHANGES')).map((c) => c.name)).not.toContain(durable);
    });
  });
}
