import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { intentSubject } from '@osier/contracts/subjects';
import { randomUUID } from 'node:crypto';
import { type Bus, BusRefused, BusUnavailable, NotStored, type Published, WrongLastSequence } from './bus.ts';
import { consumingContract } from './contract/consuming.ts';
import { snapshotContract } from './contract/snapshots.ts';
import { all, type BusUnderTest, bytes, eventually, gather, gatherTexts, scope, state, text } from './contract/tools.ts';

export function busContract(title: string, open: () => Promise<BusUnderTest>): void {
  jest.setTimeout(20_000);
  describe(`bus contract: ${title}`, () => {
    let under: BusUnderTest;
    let bus: Bus;
    beforeAll(async () => {
      under = await open();
      bus = await under.connect('contract');
      await bus.ensureStreams();
    }, 60_000);
    afterAll(async () => {
      await bus?.close();
      await under?.close();
    });
    const put = (subject: string, body: string, o?: Parameters<Bus['publish']>[2]): Promise<Published> => bus.publish(subject, bytes(body), o);
    describe('publish', () => {
      it('gives what is stored a sequence that grows, and reads it back with its headers', async () => {
        const subject = state(scope(), 'a');
        const first = await put(subject, 'one', { headers: { 'ce-id': 'x-1', traceparent: '00-1' } });
        const second = await put(subject, 'two');
        expect(first).toEqual({ stream: 'CHANGES', sequence: expect.any(Number), duplicate: false });
        expect(second.sequence).toBeGreaterThan(first.sequence);
        const [message] = await gather(bus.read({ stream: 'CHANGES', filters: [subject] }));
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
        // A cluster cannot say yet where the first will be: whoever is told so may not take it for stored, and asks again.
        const second = async (): Promise<Published> => {
          for (;;) {
            const found = await put(subject, 'one', { headers }).catch((error: unknown) => error);
            if (!(found instanceof BusUnavailable)) return found as Published;
          }
        };
        const [first, again] = await Promise.all([put(subject, 'one', { headers }), second()]);
        expect(again).toEqual({ ...first, duplicate: true });
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
        const found = await gather(bus.read({ stream: 'STATE', filters: [all(place)] }));
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

    describe('AUDIT', () => {
      it('keeps what was added to it, whoever wants it gone', async () => {
        const subject = `osier.audit.${scope().domain}`;
        const { sequence } = await put(subject, 'who did it');
        for (const what of [subject, '>']) await expect(bus.purge('AUDIT', what)).rejects.toBeInstanceOf(BusRefused);
        expect(await bus.last('AUDIT', subject)).toMatchObject({ sequence });
      });
    });

    consumingContract(() => bus, () => under);

    describe('read', () => {
      it('ends at the last message of now and leaves no consumer behind', async () => {
        const place = scope();
        for (let i = 0; i < 600; i++) void put(state(place, `e${i}`), `${i}`);
        await eventually(() => bus.last('CHANGES', state(place, 'e599')), (m) => m !== undefined);
        const before = (await bus.consumers('CHANGES')).length;
        expect(await gatherTexts(bus.read({ stream: 'CHANGES', filters: [all(place)] }))).toHaveLength(600);
        expect(await gatherTexts(bus.read({ stream: 'CHANGES', filters: [all(scope())] }))).toEqual([]);
        expect((await bus.consumers('CHANGES')).length).toBe(before);
      });
      it('begins where it is told, and can be left in the middle', async () => {
        const place = scope();
        await put(state(place, 'a'), 'a1');
        const { sequence } = await put(state(place, 'b'), 'b1');
        await put(state(place, 'a'), 'a2');
        const read = (from: 'last-per-subject' | { sequence: number }): Promise<string[]> => gatherTexts(bus.read({ stream: 'CHANGES', filters: [all(place)], from }));
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

    describe('telling whoever listens', () => {
      it('comes to each who listens, in order, and to nobody who has stopped', async () => {
        const subject = `osier.ask.connections.${scope().domain}`;
        const heard: string[] = [];
        const other = await under.connect('listener');
        const ears = await Promise.all([bus, other].map((one, i) => one.listen(i === 0 ? subject : 'osier.ask.connections.*', (said) => said.subject === subject && heard.push(`${i} ${text(said)}`))));
        await eventually(async () => (await bus.tell(subject, bytes('ready')), heard), (all) => ['0 ready', '1 ready'].every((one) => all.includes(one)));
        heard.length = 0;
        for (const word of ['one', 'two', 'three']) await other.tell(subject, bytes(word));
        await eventually(() => heard, (all) => all.includes('0 three') && all.includes('1 three'));
        for (const i of [0, 1]) expect(heard.filter((one) => one.startsWith(`${i} `) && !one.endsWith('ready'))).toEqual(['one', 'two', 'three'].map((word) => `${i} ${word}`));
        await ears[1]?.stop();
        heard.length = 0;
        await bus.tell(subject, bytes('four'));
        await eventually(() => heard, (all) => all.includes('0 four'));
        expect(heard).not.toContain('1 four');
        await ears[0]?.stop();
        await other.close();
      });
      it('refuses what is larger than a message may be, needs nobody, and stores nothing', async () => {
        const subject = `osier.ask.connections.${scope().domain}`;
        await expect(bus.tell(subject, new Uint8Array(2 * 1024 * 1024))).rejects.toBeInstanceOf(BusRefused);
        await expect(bus.tell(subject, bytes('to nobody'))).resolves.toBeUndefined();
        await expect(put(subject, 'stored?')).rejects.toBeInstanceOf(NotStored);
      });
    });

    describe('snapshots', () => snapshotContract(() => bus));

    // Last: other streams than before are there afterwards.
    it('makes a stream that was deleted anew where it is told to, and its mirror with the same sequences; what is there stays', async () => {
      const [before, kept] = [await bus.stream('CHANGES'), await bus.stream('INTENTS')];
      expect(before?.rebuilt).toBe(false);
      // The servers of a cluster do not answer while they copy what one of them had.
      const remove = (name: string) => bus.deleteStream(name).then(() => true, (error: unknown) => { if (error instanceof BusUnavailable) return false; throw error; });
      for (const name of ['STATE', 'CHANGES', 'CHANGES']) await eventually(() => remove(name), (done) => done);
      expect(await bus.stream('CHANGES')).toBeUndefined();
      await bus.ensureStreams({ CHANGES: 5_000_000, STATE: 5_000_000, INTENTS: 5_000_000 });
      expect(await bus.stream('CHANGES')).toMatchObject({ firstSequence: 5_000_001, lastSequence: 5_000_000, messages: 0, rebuilt: true });
      expect((await bus.stream('CHANGES'))?.incarnation).not.toBe(before?.incarnation);
      expect(await bus.stream('INTENTS')).toEqual(kept);
      const subject = state(scope(), 'a');
      expect(await put(subject, 'one', { expectedLastSubjectSequence: 0 })).toMatchObject({ sequence: 5_000_001 });
      expect(await eventually(() => bus.last('STATE', subject), (m) => m !== undefined)).toMatchObject({ sequence: 5_000_001 });
      expect(await bus.stream('STATE')).toMatchObject({ lastSequence: 5_000_001, messages: 1, rebuilt: true });
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
