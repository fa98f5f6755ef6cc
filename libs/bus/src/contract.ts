import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { intentSubject, stateSubject } from '@osier/contracts/subjects';
import { randomUUID } from 'node:crypto';
import { type Bus, BusRefused, BusUnavailable, type ConsumerDeclaration, type Delivery, type Message, NotStored, type Published, WrongLastSequence } from './bus.ts';

/** What the two implementations must have in common; each runs it over fresh streams. */
export interface BusUnderTest { connect(name: string): Promise<Bus>; close(): Promise<void> }

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (message: { data: Uint8Array }): string => new TextDecoder().decode(message.data);
/** A place in the subjects that no other test uses. */
const scope = (): { domain: string; project: string; environment: string } => ({ domain: `d${randomUUID().slice(0, 8)}`, project: 'shop', environment: 'staging' });
type Place = ReturnType<typeof scope>;
const state = (place: Place, id: string, parent = '_', noun: 'endpoint' | 'policy' = 'endpoint'): string => stateSubject({ ...place, noun, parent, id });
const all = (place: Place): string => `osier.state.${place.domain}.>`;

async function eventually<T>(get: () => T | Promise<T>, until: (value: T) => boolean, ms = 15_000): Promise<T> {
  for (const end = Date.now() + ms; ; await new Promise((resolve) => setTimeout(resolve, 15))) {
    const value = await get();
    if (until(value)) return value;
    if (Date.now() > end) throw new Error(`not in ${ms} ms; last seen: ${JSON.stringify(value)}`);
  }
}
async function gather(messages: AsyncIterable<Message>): Promise<string[]> {
  const got: string[] = [];
  for await (const message of messages) got.push(text(message));
  return got;
}

export function busContract(title: string, open: () => Promise<BusUnderTest>): void {
  jest.setTimeout(20_000);
  describe(`bus contract: ${title}`, () => {
    let under: BusUnderTest;
    let bus: Bus;
    beforeAll(async () => {
      under = await open();
      bus = await under.connect('contract');
      await bus.ensureStreams();
    }, 30_000);
    afterAll(async () => {
      await bus?.close();
      await under?.close();
    });
    const put = (subject: string, body: string, o?: Parameters<Bus['publish']>[2]): Promise<Published> => bus.publish(subject, bytes(body), o);
    const consumerName = (): string => `c-${randomUUID()}`;
    /** Consumes until told to stop, and remembers what came and in which batches. */
    const watch = async (durable: string, declaration: ConsumerDeclaration | undefined, o: { batch?: number; act?: (delivery: Delivery) => void; stream?: string } = {}) => {
      const seen: Delivery[] = [];
      const batches: number[] = [];
      const problems: Error[] = [];
      const consumption = await bus.consume({
        stream: o.stream ?? declaration?.stream ?? 'CHANGES', durable, ...(declaration === undefined ? {} : { declaration }), ...(o.batch === undefined ? {} : { batch: o.batch }),
        onProblem: (problem) => problems.push(problem),
        onBatch: async (batch) => {
          batches.push(batch.length);
          for (const delivery of batch) {
            seen.push(delivery);
            (o.act ?? ((d: Delivery) => d.ack()))(delivery);
          }
        },
      });
      return { seen, batches, problems, texts: () => seen.map(text), stop: () => consumption.stop() };
    };

    describe('publish', () => {
      it('gives what is stored a sequence that grows, and reads it back with its headers', async () => {
        const subject = state(scope(), 'a');
        const first = await put(subject, 'one', { headers: { 'ce-id': 'x-1', traceparent: '00-1' } });
        const second = await put(subject, 'two');
        expect(first).toEqual({ stream: 'CHANGES', sequence: expect.any(Number), duplicate: false });
        expect(second.sequence).toBeGreaterThan(first.sequence);
        const [message] = await gatherMessages(bus.read({ stream: 'CHANGES', filters: [subject] }));
        expect(message).toMatchObject({ stream: 'CHANGES', subject, sequence: first.sequence, headers: { 'ce-id': 'x-1', traceparent: '00-1' } });
        expect(Math.abs((message?.storedAt ?? 0) - Date.now())).toBeLessThan(60_000);
      });
      it('says that nobody stores a subject that no stream takes', async () => {
        await expect(put(intentSubject({ ...scope(), noun: 'gnome', verb: 'apply', credential: 'c' }), '{}')).rejects.toBeInstanceOf(NotStored);
        await expect(put('elsewhere.at.all', '{}')).rejects.toBeInstanceOf(NotStored);
      });
      it('refuses what is larger than a message may be, and goes on', async () => {
        const subject = state(scope(), 'a');
        await expect(bus.publish(subject, new Uint8Array(2 * 1024 * 1024))).rejects.toBeInstanceOf(BusRefused);
        await expect(put(subject, 'small')).resolves.toMatchObject({ stream: 'CHANGES' });
      });
      it('stores only after the expected last message of the subject', async () => {
        const subject = state(scope(), 'a');
        const first = await put(subject, 'one', { expectedLastSubjectSequence: 0 });
        await expect(put(subject, 'again', { expectedLastSubjectSequence: 0 })).rejects.toBeInstanceOf(WrongLastSequence);
        const second = await put(subject, 'two', { expectedLastSubjectSequence: first.sequence });
        await expect(put(subject, 'late', { expectedLastSubjectSequence: first.sequence })).rejects.toBeInstanceOf(WrongLastSequence);
        expect(await bus.last('CHANGES', subject)).toMatchObject({ sequence: second.sequence });
      });
      it('lets exactly one of many rivals through', async () => {
        const subject = state(scope(), 'a');
        const results = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => put(subject, `rival ${i}`, { expectedLastSubjectSequence: 0 })));
        expect(results.filter((r) => r.status === 'fulfilled')).toHaveLength(1);
        for (const r of results) if (r.status === 'rejected') expect(r.reason).toBeInstanceOf(WrongLastSequence);
      });
      it('knows a message id again at once, and does not hold it against a later message', async () => {
        const subject = state(scope(), 'a');
        const headers = { 'Nats-Msg-Id': randomUUID() };
        const [first, second] = await Promise.all([put(subject, 'one', { headers }), put(subject, 'one', { headers })]);
        expect(second).toEqual({ ...first, duplicate: true });
        await new Promise((resolve) => setTimeout(resolve, 400));
        await expect(put(subject, 'other', { headers })).resolves.toMatchObject({ duplicate: false });
      });
      it('does not let a publisher roll a stream up', async () => {
        const place = scope();
        await put(state(place, 'a'), 'one');
        await put(state(place, 'b'), 'two', { headers: { 'Nats-Rollup': 'all' } }).catch(() => undefined);
        expect(await bus.last('CHANGES', state(place, 'a'))).toBeDefined();
      });
    });

    describe('last and stream', () => {
      it('finds the last message of a subject, also over wildcards, and nothing where there is nothing', async () => {
        const place = scope();
        await put(state(place, 'a'), 'one');
        const second = await put(state(place, 'b'), 'two', { headers: { 'ce-id': 'x' } });
        expect(await bus.last('CHANGES', all(place))).toMatchObject({ sequence: second.sequence, subject: state(place, 'b'), headers: { 'ce-id': 'x' } });
        expect(text((await bus.last('CHANGES', state(place, 'a')))!)).toBe('one');
        expect(await bus.last('CHANGES', state(scope(), 'a'))).toBeUndefined();
        await expect(bus.last('MISSING', 'a')).rejects.toBeInstanceOf(BusRefused);
      });
      it('tells how far a stream is, and which incarnation of it this is', async () => {
        const before = await bus.stream('CHANGES');
        const { sequence } = await put(state(scope(), 'a'), 'one');
        const after = await bus.stream('CHANGES');
        expect(after).toMatchObject({ incarnation: before?.incarnation, lastSequence: sequence, messages: (before?.messages ?? 0) + 1 });
        await bus.ensureStreams();
        expect((await bus.stream('CHANGES'))?.incarnation).toBe(before?.incarnation);
        expect(await bus.stream('MISSING')).toBeUndefined();
      });
    });

    describe('the mirror STATE', () => {
      it('holds the last message of each subject under the sequence it has in CHANGES', async () => {
        const place = scope();
        await put(state(place, 'a'), 'old');
        const b = await put(state(place, 'b'), 'b');
        const a = await put(state(place, 'a'), 'new');
        await eventually(() => bus.last('STATE', state(place, 'a')), (m) => m?.sequence === a.sequence);
        const found = await gatherMessages(bus.read({ stream: 'STATE', filters: [all(place)] }));
        expect(found.map((m) => [m.stream, m.sequence, text(m)])).toEqual([['STATE', b.sequence, 'b'], ['STATE', a.sequence, 'new']]);
      });
      it('can have one subject purged, which CHANGES keeps', async () => {
        const place = scope();
        const { sequence } = await put(state(place, 'a'), 'one');
        await put(state(place, 'b'), 'two');
        await eventually(() => bus.last('STATE', state(place, 'a')), (m) => m !== undefined);
        await bus.purge('STATE', state(place, 'a'));
        expect(await bus.last('STATE', state(place, 'a'))).toBeUndefined();
        expect(await bus.last('STATE', state(place, 'b'))).toBeDefined();
        expect(await bus.last('CHANGES', state(place, 'a'))).toMatchObject({ sequence });
      });
    });

    describe('consume', () => {
      it('hands over what is there in stream order, at most a batch at a time, and then what comes', async () => {
        const place = scope();
        for (let i = 0; i < 7; i++) await put(state(place, `e${i}`), `${i}`);
        const watched = await watch(consumerName(), { stream: 'CHANGES', filters: [all(place)] }, { batch: 3 });
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
        const consumption = await bus.consume({
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
      it('goes on where it was after a stop, with another client too', async () => {
        const place = scope();
        const durable = consumerName();
        const declaration = { stream: 'CHANGES', filters: [all(place)] };
        await put(state(place, 'a'), 'one');
        const first = await watch(durable, declaration);
        await eventually(first.texts, (t) => t.length === 1);
        await first.stop();
        await put(state(place, 'b'), 'two');
        const other = await under.connect('another');
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
        const consumption = await bus.consume({
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
        const watched = await watch(durable, { stream: 'CHANGES', filters: [all(place)], ackWaitMs: 200 }, { act: (d) => d.term('of no use') });
        await eventually(watched.texts, (t) => t.length === 1);
        await new Promise((resolve) => setTimeout(resolve, 500));
        await watched.stop();
        expect(watched.texts()).toEqual(['a']);
        expect(await bus.consumer('CHANGES', durable)).toMatchObject({ ackPending: 0, pending: 0 });
      });
      it('takes one acknowledgement for all before it where the consumer says so', async () => {
        const place = scope();
        const durable = consumerName();
        for (let i = 0; i < 5; i++) await put(state(place, `e${i}`), `${i}`);
        const watched = await watch(durable, { stream: 'CHANGES', filters: [all(place)], ackPolicy: 'all' }, { act: (d) => (text(d) === '4' ? d.ack() : undefined) });
        await eventually(() => bus.consumer('CHANGES', durable), (c) => c?.pending === 0 && c.ackPending === 0);
        await watched.stop();
        expect(watched.texts()).toHaveLength(5);
      });
      it('hands out no more than may be unacknowledged', async () => {
        const place = scope();
        for (let i = 0; i < 5; i++) await put(state(place, `e${i}`), `${i}`);
        const held: Delivery[] = [];
        const watched = await watch(consumerName(), { stream: 'CHANGES', filters: [all(place)], maxAckPending: 2 }, { act: (d) => held.push(d) });
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
        const fresh = await watch(consumerName(), { stream: 'CHANGES', filters: [all(place)], from: 'new' });
        const since = await watch(consumerName(), { stream: 'CHANGES', filters: [all(place)], from: { sequence: b.sequence } });
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
        await eventually(() => bus.last('STATE', state(place, 'a')), (m) => m !== undefined);
        const watched = await watch(durable, undefined, { stream: 'STATE' });
        const declaration: ConsumerDeclaration = { stream: 'STATE', filters: [all(place)], from: 'last-per-subject', ackPolicy: 'all' };
        await bus.ensureConsumer(durable, declaration);
        await eventually(watched.texts, (t) => t.length === 1);
        await bus.deleteConsumer('STATE', durable);
        await put(state(place, 'b'), 'b');
        await eventually(() => bus.last('STATE', state(place, 'b')), (m) => m !== undefined);
        await bus.ensureConsumer(durable, declaration);
        await eventually(watched.texts, (t) => t.length === 3);
        await watched.stop();
        expect(watched.texts()).toEqual(['a', 'a', 'b']);
        expect(watched.problems.map((p) => p.name)).toContain('ConsumerMissing');
      });
      it('makes its own consumer again when it was deleted', async () => {
        const place = scope();
        const durable = consumerName();
        const watched = await watch(durable, { stream: 'CHANGES', filters: [all(place)] });
        await bus.deleteConsumer('CHANGES', durable);
        await put(state(place, 'a'), 'a');
        await eventually(watched.texts, (t) => t.length === 1);
        await watched.stop();
      });
      it('refuses a consumer that can not be', async () => {
        const place = scope();
        const declare = (declaration: ConsumerDeclaration): Promise<void> => bus.ensureConsumer(consumerName(), declaration);
        await expect(declare({ stream: 'CHANGES', filters: [all(place), state(place, 'a')] })).rejects.toBeInstanceOf(BusRefused);
        await expect(declare({ stream: 'CHANGES', filters: [] })).rejects.toBeInstanceOf(BusRefused);
        await expect(declare({ stream: 'MISSING' })).rejects.toBeInstanceOf(BusRefused);
        await expect(watch(consumerName(), { stream: 'CHANGES', filters: ['a.>', 'a.b'] })).rejects.toBeInstanceOf(BusRefused);
      });
    });

    describe('filters', () => {
      it('from last-per-subject on brings the last of each subject in stream order, then what comes', async () => {
        const place = scope();
        for (const [id, body] of [['a', 'a1'], ['b', 'b1'], ['a', 'a2'], ['c', 'c1']] as const) await put(state(place, id), body);
        await put(state(place, 'p', '_', 'policy'), 'p1');
        const filter = `osier.state.${place.domain}.*.*.endpoint.>`;
        const watched = await watch(consumerName(), { stream: 'CHANGES', filters: [filter], from: 'last-per-subject' });
        await eventually(watched.texts, (t) => t.length === 3);
        await put(state(place, 'b'), 'b2');
        await eventually(watched.texts, (t) => t.length === 4);
        await watched.stop();
        expect(watched.texts()).toEqual(['b1', 'a2', 'c1', 'b2']);
      });
      it('grown do not bring what the new ones would have matched before, but all that comes', async () => {
        const [here, there] = [scope(), scope()];
        const durable = consumerName();
        const watched = await watch(durable, { stream: 'CHANGES', filters: [all(here)], metadata: { session: 's1' } });
        await put(state(there, 'a'), 'there before');
        await put(state(here, 'a'), 'here');
        await eventually(watched.texts, (t) => t.length === 1);
        await bus.ensureConsumer(durable, { stream: 'CHANGES', filters: [all(here), all(there)], metadata: { session: 's2' } });
        await put(state(there, 'b'), 'there after');
        await eventually(watched.texts, (t) => t.length === 2);
        await watched.stop();
        expect(watched.texts()).toEqual(['here', 'there after']);
        const found = await bus.consumer('CHANGES', durable);
        expect(found).toMatchObject({ name: durable, pending: 0, metadata: { session: 's2' } });
        expect([...(found?.filters ?? [])].sort()).toEqual([all(here), all(there)].sort());
      });
      it('are listed with each consumer, and a deleted consumer is gone', async () => {
        const place = scope();
        const durable = consumerName();
        await put(state(place, 'a'), 'a');
        await bus.ensureConsumer(durable, { stream: 'CHANGES', filters: [all(place)] });
        expect((await bus.consumers('CHANGES')).find((c) => c.name === durable)).toMatchObject({ filters: [all(place)], pending: 1, ackPending: 0 });
        await bus.deleteConsumer('CHANGES', durable);
        await bus.deleteConsumer('CHANGES', durable);
        expect(await bus.consumer('CHANGES', durable)).toBeUndefined();
        expect((await bus.consumers('CHANGES')).map((c) => c.name)).not.toContain(durable);
      });
    });

    describe('read', () => {
      it('ends at the last message of now and leaves no consumer behind', async () => {
        const place = scope();
        for (let i = 0; i < 600; i++) void put(state(place, `e${i}`), `${i}`);
        await eventually(() => bus.last('CHANGES', state(place, 'e599')), (m) => m !== undefined);
        const before = (await bus.consumers('CHANGES')).length;
        expect(await gather(bus.read({ stream: 'CHANGES', filters: [all(place)] }))).toHaveLength(600);
        expect(await gather(bus.read({ stream: 'CHANGES', filters: [all(scope())] }))).toEqual([]);
        expect((await bus.consumers('CHANGES')).length).toBe(before);
      });
      it('begins where it is told, and can be left in the middle', async () => {
        const place = scope();
        await put(state(place, 'a'), 'a1');
        const { sequence } = await put(state(place, 'b'), 'b1');
        await put(state(place, 'a'), 'a2');
        const read = (from: 'last-per-subject' | { sequence: number }): Promise<string[]> => gather(bus.read({ stream: 'CHANGES', filters: [all(place)], from }));
        expect(await read('last-per-subject')).toEqual(['b1', 'a2']);
        expect(await read({ sequence })).toEqual(['b1', 'a2']);
        for await (const message of bus.read({ stream: 'CHANGES', filters: [all(place)] })) {
          expect(text(message)).toBe('a1');
          break;
        }
      });
      it('follows until told to stop', async () => {
        const place = scope();
        const abort = new AbortController();
        await put(state(place, 'a'), 'one');
        const got: string[] = [];
        const reading = (async () => {
          for await (const message of bus.read({ stream: 'CHANGES', filters: [all(place)], follow: true, signal: abort.signal })) got.push(text(message));
        })();
        await eventually(() => got.length, (n) => n === 1);
        await put(state(place, 'b'), 'two');
        await eventually(() => got.length, (n) => n === 2);
        abort.abort();
        await reading;
        expect(got).toEqual(['one', 'two']);
      });
    });

    describe('request and reply', () => {
      it('brings the answer with its headers, from one of the queue', async () => {
        const subject = `osier.query.test.${scope().domain}.shop`;
        const stops = await Promise.all(['left', 'right'].map((who) =>
          bus.respond(`${subject}.*`, 'test', async (q) => ({ data: bytes(`${q.subject.split('.').at(-1)} ${text(q)} ${q.headers.traceparent}`), headers: { who } }))));
        const other = await under.connect('asker');
        const answer = await other.request(`${subject}.list`, bytes('hello'), { headers: { traceparent: 't' } });
        expect(text(answer)).toBe('list hello t');
        expect(['left', 'right']).toContain(answer.headers.who);
        await Promise.all(stops.map((s) => s.stop()));
        await expect(other.request(`${subject}.list`, bytes('hello'))).rejects.toBeInstanceOf(BusUnavailable);
        await other.close();
      });
      it('brings a failure of the answerer, and does not wait for ever', async () => {
        const subject = `osier.query.test.${scope().domain}`;
        const failing = await bus.respond(`${subject}.failing`, 'q', async () => {
          throw new Error('the database\nis locked');
        });
        const silent = await bus.respond(`${subject}.silent`, 'q', () => new Promise(() => undefined));
        await expect(bus.request(`${subject}.failing`, bytes(''))).rejects.toThrow(/the database\s+is locked/);
        await expect(bus.request(`${subject}.silent`, bytes(''), { timeoutMs: 100 })).rejects.toBeInstanceOf(BusUnavailable);
        await Promise.all([failing.stop(), silent.stop()]);
      });
    });

    it('fails with BusUnavailable once it is closed', async () => {
      const other = await under.connect('closing');
      expect(other.connected).toBe(true);
      await other.close();
      expect(other.connected).toBe(false);
      await expect(other.publish(state(scope(), 'a'), bytes('a'))).rejects.toBeInstanceOf(BusUnavailable);
    });
  });
}

async function gatherMessages(messages: AsyncIterable<Message>): Promise<Message[]> {
  const got: Message[] = [];
  for await (const message of messages) got.push(message);
  return got;
}
