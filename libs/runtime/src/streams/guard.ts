import type { Bus } from '@osier/bus/bus';
import { kindsOf, type Service } from '@osier/contracts/kinds';
import { type StreamName, streams } from '@osier/contracts/streams';
import type { Store } from '@osier/store/store';
import type { Surroundings } from '../context.ts';
import type { Projection } from '../projection.ts';
import { maxRevisionMark, witnessMark } from '../relay.ts';
import { announce, allAnnounced } from './announce.ts';
import { compareState } from './compare.ts';
import { beginAfter, decide, type Found, leadElsewhereAfterMs, leadElsewhereEveryMs, type Remembered, type Verdict, type Witness } from './decide.ts';

const marks = { incarnation: 'incarnation', state: 'state-incarnation', ends: 'stream-ends', rebuilding: 'rebuilding' } as const;
/** Whose turn it is to make a stream anew: one at once, the others only when the one before has not done it. */
const turn: Record<Service, number> = { tenant: 0, ipam: 1, topology: 2, policy: 3 };
const turnMs = 1_500;
const endsEveryMs = 5_000;
/** Streams whose messages may go, since they come again or are only looked at, and whose readers go by sequence. */
const replaceable: readonly StreamName[] = ['RECEIPTS', 'OBSERVATIONS'];
/** Where STATE stands still behind CHANGES, since when, and when another server was last asked to lead it. */
const stillUnknown = { sequence: -1, since: 0, movedAt: 0 };
const others = (Object.keys(streams) as StreamName[]).filter((name) => name !== 'CHANGES' && name !== 'STATE');

/** The database is older than what it has published: to go on would give numbers and addresses a second time. */
export class DatabaseOlder extends Error {
  override readonly name = 'DatabaseOlder';
  readonly fix: string;
  constructor(service: Service, subjects: readonly string[]) {
    super(`the database of ${service} is older than the stream STATE: ${subjects.length} documents there are newer, the first ${subjects[0]}. Somebody has put an older copy back.`);
    this.fix = `Stop ${service}, put the newest copy of its database back, or restore the whole installation from one backup, and start it again. Nothing was changed meanwhile; traffic goes on.`;
  }
}

/**
 * Streams can lie: come back empty, shorter, older, or not at all. The database is the truth, and remembers what it knew of them:
 *
 *   look ─► decide ─┬─ go on ──────────────────────────────────────────────────────────┬─► trusted: the relay publishes
 *                   ├─ rebuild: CHANGES and STATE anew, above all that was ever known ─┤
 *                   ├─ republish: all documents and tombstones through the outbox ─────┤
 *                   └─ mirror: STATE anew ─► compare with the database ────────────────┴─► whole: said so, for topology to wait for
 */
export class StreamGuard {
  readonly #bus: Bus;
  readonly #store: Store;
  readonly #around: Surroundings;
  readonly #projection: Projection;
  #verifiedSession = 0;
  #failed: DatabaseOlder | undefined;
  #comparing = false;
  #allWhole = false;
  #noticed: { because: string; at: number } | undefined;
  #mirror = stillUnknown;
  #endsAt = 0;
  #running: Promise<boolean> | undefined;
  #current = false;
  /** Streams that ended earlier than is known, when they were looked at last. */
  readonly #doubted = new Set<StreamName>();

  constructor(o: { bus: Bus; store: Store; around: Surroundings; projection: Projection }) {
    this.#bus = o.bus;
    this.#store = o.store;
    this.#around = o.around;
    this.#projection = o.projection;
  }

  /** The streams of this very connection are those that this database published to. */
  get trusted(): boolean {
    return this.#failed === undefined && this.#verifiedSession === this.#bus.session;
  }
  /** And every service has published again what they had lost. */
  get whole(): boolean {
    return this.trusted && this.#allWhole;
  }

  /** Returns whether something was published anew or is to be. Throws DatabaseOlder, and whatever the bus throws. */
  check(): Promise<boolean> {
    this.#running ??= this.#check().finally(() => (this.#running = undefined));
    return this.#running;
  }

  /** Until the streams may be trusted. */
  async prepare(): Promise<void> {
    await this.check();
    if (!this.trusted) throw new Error(`the streams are not as they were, and another service is to mend them: ${this.#noticed?.because ?? ''}`);
    if (!this.#comparing) await this.#refuseOlder();
  }

  async #check(): Promise<boolean> {
    if (this.#failed) throw this.#failed;
    const session = this.#bus.session;
    const remembered = await this.#remembered();
    let found = await this.#look();
    let verdict = decide(remembered, found);
    if (verdict.do !== 'go-on') {
      // A server that was cut off, or has just taken over, may lack what is there: nothing is made anew on its word.
      found = await this.#look({ confirmed: true });
      verdict = decide(remembered, found);
    }
    if (verdict.do === 'go-on') await this.#hurry(found);
    const changed = await this.#act(verdict, remembered, found);
    if (changed === 'later') {
      this.#verifiedSession = 0;
      return false;
    }
    await this.#others();
    await this.#bringUpToDate();
    this.#verifiedSession = session;
    this.#noticed = undefined;
    if (this.#comparing) await this.#settle();
    await this.#say();
    return changed;
  }

  async #remembered(): Promise<Remembered> {
    const witness = await this.#store.mark(witnessMark);
    return {
      incarnation: await this.#store.mark(marks.incarnation), state: await this.#store.mark(marks.state),
      highest: Number((await this.#store.mark(maxRevisionMark)) ?? 0), witness: witness === undefined || witness === '' ? undefined : (JSON.parse(witness) as Witness),
    };
  }
  async #look(how: { confirmed?: boolean } = {}): Promise<Found> {
    try {
      return await this.#ask(how);
    } catch (error) {
      // How long the mirror has been standing still counts only while both can be asked.
      this.#mirror = stillUnknown;
      throw error;
    }
  }
  async #ask(how: { confirmed?: boolean }): Promise<Found> {
    const [state, changes] = [await this.#bus.stream('STATE', how), await this.#bus.stream('CHANGES', how)];
    const text = await this.#store.mark(witnessMark);
    const witness = text === undefined || text === '' ? undefined : (JSON.parse(text) as Witness);
    const witnessAt = changes && witness ? (await this.#bus.last('CHANGES', witness.subject))?.sequence : undefined;
    const behind = state && changes && state.lastSequence < changes.lastSequence;
    if (!behind || state.lastSequence !== this.#mirror.sequence) this.#mirror = { sequence: behind ? state.lastSequence : -1, since: Date.now(), movedAt: 0 };
    return { changes, state, witnessAt, stuckMs: Date.now() - this.#mirror.since };
  }
  /** A mirror of a cluster whose origin's leader has died waits ten to twenty seconds before it looks for the new one; one whose copies were raised never does. */
  async #hurry({ state, stuckMs }: Found): Promise<void> {
    if ((state?.replicas ?? 1) === 1 || stuckMs < leadElsewhereAfterMs + turn[this.#around.service] * turnMs || Date.now() - this.#mirror.movedAt < leadElsewhereEveryMs) return;
    this.#mirror.movedAt = Date.now();
    this.#around.log.warn({ state: state?.lastSequence, stuckMs }, 'STATE does not get on with mirroring CHANGES: another server of the cluster is to lead it');
    await this.#bus.leadElsewhere('STATE');
  }

  async #act(verdict: Verdict, remembered: Remembered, found: Found): Promise<boolean | 'later'> {
    const { log } = this.#around;
    if (verdict.do === 'go-on' || verdict.do === 'adopt') {
      if (verdict.do === 'adopt') await this.#bus.ensureStreams();
      await this.#remember();
      this.#comparing ||= (await this.#store.mark(marks.rebuilding)) === 'yes' || verdict.do === 'adopt' && (found.changes?.rebuilt ?? false);
      return false;
    }
    const first = remembered.incarnation === undefined;
    const facts = { remembered, changes: found.changes, state: found.state };
    if (!first && this.#noticed?.because !== verdict.because) {
      this.#noticed = { because: verdict.because, at: Date.now() };
      log.error(facts, `The streams are not what they were: ${verdict.because}. They are mended from the databases; agents go on enforcing what they have.`);
    }
    if (verdict.do === 'compare') {
      await this.#begin();
      return true;
    }
    // Others have filled the streams again; what is there of this service's own is what it published itself.
    if (verdict.do === 'republish') await (found.state ? this.#refuseOlder() : undefined);
    else {
      if (!first && Date.now() - (this.#noticed?.at ?? 0) < turn[this.#around.service] * turnMs) return 'later';
      if (verdict.do === 'rebuild') await this.#rebuild(first, remembered, found);
      else await this.#mirrorAnew(first, remembered);
    }
    if (verdict.do !== 'mirror' && !first) {
      const entities = await this.#store.republishAll();
      await this.#projection.forget();
      await this.#store.setMark(witnessMark, '');
      log.warn({ entities }, 'every document and tombstone of this service is published anew');
    }
    if (first) await this.#remember();
    else await this.#begin();
    return true;
  }
  /** From now on everything is compared until it is whole; also after a restart. */
  async #begin(): Promise<void> {
    this.#comparing = true;
    this.#allWhole = false;
    await this.#store.setMark(marks.rebuilding, 'yes');
    await this.#remember();
  }
  async #rebuild(first: boolean, remembered: Remembered, found: Found): Promise<void> {
    if (first) return this.#bus.ensureStreams();
    const highest = Math.max(remembered.highest, found.changes?.lastSequence ?? 0, found.state?.lastSequence ?? 0);
    await this.#bus.deleteStream('STATE');
    await this.#bus.deleteStream('CHANGES');
    // It came back with less: so may those have whose readers go by sequence, and by less than anybody remembers of them.
    if (found.changes) for (const name of replaceable) await this.#bus.deleteStream(name);
    await this.#make({ CHANGES: beginAfter(highest), STATE: beginAfter(highest) });
    this.#around.log.warn({ highest, after: beginAfter(highest) }, 'CHANGES and STATE were made anew');
  }
  async #mirrorAnew(first: boolean, remembered: Remembered): Promise<void> {
    // Another service may be making it at this moment.
    if (first) return this.#bus.ensureStreams();
    await this.#bus.deleteStream('STATE');
    await this.#make({ STATE: remembered.highest });
    this.#around.log.warn({}, 'STATE was made anew from CHANGES');
  }
  /** What is missing beside is made too, above what is known of it: an intent's id may be its sequence. */
  async #make(after: Readonly<Record<string, number>>): Promise<void> {
    const ends = await this.#ends();
    await this.#bus.ensureStreams({ ...Object.fromEntries(Object.entries(ends).map(([name, end]) => [name, beginAfter(end)])), ...after });
  }
  async #ends(): Promise<Partial<Record<StreamName, number>>> {
    return JSON.parse((await this.#store.mark(marks.ends)) ?? '{}') as Partial<Record<StreamName, number>>;
  }

  /** The streams that are no truth: made where they are gone, and replaced where their readers would wait for sequences that come again. */
  async #others(): Promise<void> {
    const due = Date.now() - this.#endsAt >= endsEveryMs || this.#verifiedSession !== this.#bus.session;
    if (!due) return;
    const before = await this.#ends();
    const now: Partial<Record<StreamName, number>> = {};
    for (const name of others) {
      const known = before[name] ?? 0;
      let state = await this.#bus.stream(name);
      if (!state || state.lastSequence < known) state = await this.#bus.stream(name, { confirmed: true });
      if (state && state.lastSequence < known && replaceable.includes(name) && !state.rebuilt) {
        this.#around.log.error({ stream: name, known, found: state.lastSequence }, `${name} was set back: it is made anew, and what it held is gone`);
        await this.#bus.deleteStream(name);
        state = undefined;
      } else if (state && state.lastSequence < known) {
        // A stream that nothing may be taken out of confirms nothing; a server that has just taken over may say so for a moment.
        if (!this.#doubted.has(name)) {
          this.#doubted.add(name);
          now[name] = known;
          continue;
        }
        this.#around.log.warn({ stream: name, known, found: state.lastSequence }, `${name} was set back; what it lost cannot be told from the databases`);
      }
      this.#doubted.delete(name);
      if (!state) {
        if (known > 0) this.#around.log.error({ stream: name, known }, `${name} is gone: it is made anew`);
        await this.#make({});
        state = await this.#bus.stream(name);
      }
      now[name] = state?.lastSequence ?? 0;
    }
    this.#endsAt = Date.now();
    const text = JSON.stringify(now);
    if (text !== JSON.stringify(before)) await this.#store.setMark(marks.ends, text);
  }

  /** Once, when all are there: an installation that was upgraded, restored or given more servers has streams with the settings of before. */
  async #bringUpToDate(): Promise<void> {
    if (this.#current) return;
    // Another service may be about to make them anew: what is missing by now is made as it would make it.
    const after = beginAfter(Number((await this.#store.mark(maxRevisionMark)) ?? 0));
    await this.#make({ CHANGES: after, STATE: after });
    this.#current = true;
  }

  async #remember(): Promise<void> {
    const [state, changes] = [await this.#bus.stream('STATE'), await this.#bus.stream('CHANGES')];
    const put = async (name: string, value: string | undefined): Promise<void> => {
      if (value !== undefined && (await this.#store.mark(name)) !== value) await this.#store.setMark(name, value);
    };
    await put(marks.incarnation, changes?.incarnation);
    await put(marks.state, state?.incarnation);
    if (changes && changes.lastSequence > Number((await this.#store.mark(maxRevisionMark)) ?? 0)) await this.#store.setMark(maxRevisionMark, String(changes.lastSequence));
  }

  async #refuseOlder(): Promise<void> {
    const { beyond } = await compareState(this.#bus, this.#store, kindsOf(this.#around.service));
    if (beyond.length > 0) throw (this.#failed = new DatabaseOlder(this.#around.service, beyond));
  }
  /** Publishes again what STATE turns out to lack, until nothing is lacking. */
  async #settle(): Promise<void> {
    if ((await this.#store.outgoing(1))[0]?.type === 'state') return;
    const [state, changes] = [await this.#bus.stream('STATE'), await this.#bus.stream('CHANGES')];
    if (!state || !changes || state.lastSequence < changes.lastSequence) return;
    const { missing, beyond, entities, digest } = await compareState(this.#bus, this.#store, kindsOf(this.#around.service));
    if (beyond.length > 0) throw (this.#failed = new DatabaseOlder(this.#around.service, beyond));
    if (missing.length > 0) {
      this.#around.log.warn({ missing: missing.length, first: missing[0] }, 'STATE lacks documents of this service; publishing every document anew');
      await this.#store.republishAll();
      return;
    }
    this.#comparing = false;
    await this.#store.setMark(marks.rebuilding, '');
    this.#around.log.warn({ entities, digest, revision: state.lastSequence }, 'STATE holds what the database holds; the streams are mended for this service');
  }
  /** Says that this service's part is whole, and hears whether everybody's is. Streams that were never rebuilt need no such word. */
  async #say(): Promise<void> {
    const [state, changes] = [await this.#bus.stream('STATE'), await this.#bus.stream('CHANGES')];
    if (!state || !changes) return void (this.#allWhole = false);
    if (!state.rebuilt && !changes.rebuilt) return void (this.#allWhole = !this.#comparing);
    const world = { changes: changes.incarnation, state: state.incarnation };
    if (!this.#comparing) await announce(this.#bus, this.#around, world);
    this.#allWhole = !this.#comparing && (await allAnnounced(this.#bus, world));
  }
}
