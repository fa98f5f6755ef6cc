// Each credential against every subject of the contracts and of NATS itself, with every kind of reply; and every ear that it could lay to the bus. What may be is
// written down in live/allowed.ts, by hand; what got through is seen in the services' account, in the streams, and in the answers.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { streams } from '@osier/contracts/streams';
import type { Connections } from '@osier/contracts/telemetry';
import { setTimeout as sleep } from 'node:timers/promises';
import { mayHear, maySay } from './live/allowed.ts';
import { hangUp } from './live/http.ts';
import { flowsOf, inside, type Land, places, settle, shop, vault } from './live/land.ts';
import { enter, type Person } from './live/people.ts';
import { contractSubjects, ears, jetStreamCalls, type Speech, strangeReplies, systemCalls } from './live/said.ts';
import { eventually } from './live/world.ts';

const replies = ['none', 'own', 'strange'] as const;
type Reply = (typeof replies)[number];
interface Attempt extends Speech { readonly mark: string; readonly reply: Reply; readonly to: string | undefined; readonly allowed: boolean }

/** Answers to a question are heard by whoever asked, and stored nowhere. */
const isStored = (subject: string): boolean => subject.startsWith('osier.') && !subject.startsWith('osier.connections.');
const text = (message: { data: Uint8Array }): string => new TextDecoder().decode(message.data);
const markIn = (body: string): string | undefined => /"forged":"([^"]+)"/.exec(body)?.[1];

function attemptsOf(who: Person, account: string): Attempt[] {
  const speeches = [...contractSubjects(who), ...jetStreamCalls(), ...systemCalls(account)];
  // Where one may speak, having an answer written is no more than speaking.
  const strange = strangeReplies.filter((subject) => !maySay(who, subject));
  return speeches.flatMap((speech, i) => replies.map((reply, r): Attempt => {
    const to = reply === 'none' ? undefined : reply === 'own' ? `_INBOX.mine.${i * replies.length + r}` : strange[(i + who.path.length) % strange.length];
    // The server keeps this one for itself, and refuses what is to be answered there.
    return { ...speech, reply, to, mark: `${who.path} ${i} ${reply}`, allowed: maySay(who, speech.subject) && to?.startsWith('_R_.') !== true };
  }));
}

interface Heard { readonly answers: ReadonlyMap<string, readonly string[]>; readonly refusals: () => number }
/** Says all of it. `answers`: what came to the inbox that each had named. */
async function sayAll(connection: NatsConnection, attempts: readonly Attempt[]): Promise<Heard> {
  const answers = new Map<string, string[]>();
  let refusals = 0;
  void (async () => {
    for await (const status of connection.status()) if (status.type === 'error') refusals++;
  })();
  connection.subscribe('_INBOX.mine.*', {
    callback: (_error, message) => {
      const mark = attempts[Number(message.subject.split('.')[2])]?.mark ?? message.subject;
      answers.set(mark, [...(answers.get(mark) ?? []), message.string()]);
    },
  });
  for (const [i, { subject, body, mark, to }] of attempts.entries()) {
    connection.publish(subject, JSON.stringify({ forged: mark, ...body }), to === undefined ? {} : { reply: to });
    if (i % 128 === 127) await connection.flush();
  }
  await connection.flush();
  return { answers, refusals: () => refusals };
}

interface Stored { readonly stream: string; readonly subject: string; readonly sequence: number; readonly body: string }
function counted(list: readonly Attempt[]): string {
  const found = new Map<string, number>();
  for (const { kind } of list) found.set(kind, (found.get(kind) ?? 0) + 1);
  return [...found].map(([kind, count]) => `${count} ${kind}`).join(', ');
}

describe('the bus, to everybody who has a credential', () => {
  let land: Land;
  const open: NatsConnection[] = [];
  const own = Object.values(streams).map(({ name }) => name);
  const lastOf = async (): Promise<Map<string, number>> => new Map(await Promise.all(own.map(async (name) => [name, (await land.live.bus.stream(name))?.lastSequence ?? 0] as const)));
  const storedSince = async (before: ReadonlyMap<string, number>): Promise<Stored[]> => {
    const found: Stored[] = [];
    for (const stream of own) {
      for await (const message of land.live.bus.read({ stream, from: { sequence: (before.get(stream) ?? 0) + 1 } })) found.push({ stream, subject: message.subject, sequence: message.sequence, body: text(message) });
    }
    return found;
  };
  const guest = async (who: Person): Promise<NatsConnection> => {
    const connection = await enter(land.live, who);
    open.push(connection);
    return connection;
  };
  beforeAll(async () => {
    land = await settle();
  }, 60_000);
  afterAll(async () => {
    await Promise.all(open.map((connection) => connection.close()));
    await land?.close();
    hangUp();
  });

  it('lets each say what is its own, and nothing else, however it is to be answered', async () => {
    const { live } = land;
    const admin = await enter(live, await live.keys.service('admin'), 'onlooker');
    open.push(admin);
    const inServices = new Map<string, string>();
    admin.subscribe('>', { callback: (_error, message: Msg) => {
      const mark = markIn(message.string());
      if (mark !== undefined) inServices.set(mark, message.subject);
    } });
    const rival = await guest(land.person('rival/spymaster'));
    const atRival: string[] = [];
    for (const ear of ['osier.outcome.rival.>', 'osier.flow.rival.>', '_INBOX.>']) rival.subscribe(ear, { callback: (_error, message) => void atRival.push(`${message.subject} ${message.string()}`) });
    await Promise.all([admin.flush(), rival.flush()]);
    const before = await lastOf();
    const consumersBefore = (await Promise.all(own.map((name) => live.bus.consumers(name)))).flat().map(({ name }) => name).sort();

    const account = land.live.keys.trust.systemAccount;
    const all: Attempt[] = [];
    const wrong: string[] = [];
    let [refusedAloud, acknowledged] = [0, 0];
    for (const who of [...land.people.values()].filter(({ domain }) => domain !== 'rival')) {
      const attempts = attemptsOf(who, account);
      const connection = await guest(who);
      const { answers, refusals } = await sayAll(connection, attempts);
      await eventually(() => attempts.every(({ mark, allowed, reply, subject }) => !allowed || reply !== 'own' || !isStored(subject) || answers.has(mark))).catch(() => undefined);
      for (const { mark, allowed, reply, subject } of attempts) {
        const answer = answers.get(mark)?.[0];
        if (!allowed && answer !== undefined) wrong.push(`answered: ${subject} of ${mark}: ${answer}`);
        if (!allowed || reply !== 'own' || !isStored(subject)) continue;
        if (answer?.includes('"stream":') === true) acknowledged++;
        else wrong.push(`not acknowledged: ${subject} of ${mark}: ${answer}`);
      }
      // Each refusal is also said, one by one, to whoever tried.
      await eventually(() => refusals() >= attempts.filter((attempt) => !attempt.allowed).length, 2_000).catch(() => undefined);
      refusedAloud += refusals();
      all.push(...attempts);
    }
    const allowed = all.filter((attempt) => attempt.allowed);
    await eventually(() => allowed.every(({ mark }) => inServices.has(mark))).catch(() => undefined);
    const byMark = new Map(all.map((attempt) => [attempt.mark, attempt]));
    for (const { mark, subject, allowed: may } of all) if (inServices.has(mark) !== may) wrong.push(`${may ? 'did not reach' : 'reached'} the services: ${subject} of ${mark}`);

    // Whatever has been stored is one of those, or the outcome of one, or what services say by themselves.
    const isOwn = (one: Stored): boolean => {
      const mark = markIn(one.body);
      if (mark !== undefined) return byMark.get(mark)?.allowed === true && byMark.get(mark)?.subject === one.subject;
      if (one.stream === 'OUTCOMES') return stored.some((wish) => wish.stream === 'INTENTS' && one.subject.endsWith(`.seq-${wish.sequence}`)) && one.body.includes('"result":"refused"');
      return /^osier\.state\._\._\._\.(barrier|interest)\./.test(one.subject);
    };
    const stored = await storedSince(before);
    for (const one of stored) if (!isOwn(one)) wrong.push(`stored: ${one.stream} ${one.subject} ${one.body.slice(0, 200)}`);
    expect(wrong.slice(0, 20)).toEqual([]);
    // Whose endpoints a node will hold is not known beforehand, so it may tell anybody of flows.
    const ofNodes = allowed.filter(({ subject }) => subject.startsWith('osier.flow.rival.')).map(({ mark }) => mark);
    expect(atRival.filter((one) => !ofNodes.includes(markIn(one) ?? ''))).toEqual([]);
    expect((await Promise.all(own.map((name) => live.bus.consumers(name)))).flat().map(({ name }) => name).sort()).toEqual(consumersBefore);
    expect((await Promise.all(own.map((name) => live.bus.stream(name)))).every((state) => state !== undefined)).toBe(true);
    const refused = all.filter((attempt) => !attempt.allowed);
    expect(refusedAloud).toBe(refused.length);
    expect(live.violations().slice(0, 20)).toEqual([]);
    console.log(`bus: ${all.length} attempts by ${land.people.size - 1} credentials (${counted(all)}): ${refused.length} refused, ${allowed.length} within their scope, ${acknowledged} of these acknowledged, 0 leaks`);
  }, 60_000);

  it('lets each hear what is its own, and nothing else, while there is much to hear', async () => {
    const { live } = land;
    const secrets = await land.secrets('rival');
    const heard: { who: Person; ear: string; subject: string; body: string }[] = [];
    const refused = new Map<string, Set<string>>();
    const people = [...land.people.values()];
    for (const who of people) {
      const connection = await guest(who);
      const no = new Set<string>();
      refused.set(who.path, no);
      for (const ear of ears) {
        for (const queue of [undefined, 'q']) {
          connection.subscribe(ear, {
            ...(queue === undefined ? {} : { queue }),
            callback: (error, message) => void (error === null ? heard.push({ who, ear, subject: message.subject, body: message.string() }) : no.add(`${ear} ${queue}`)),
          });
        }
      }
      await connection.flush();
    }
    for (const place of places) {
      const node = await guest(land.person(`platform-node-${place.node}`));
      for (const { domain, project } of places) if (domain === place.domain) node.publish(`osier.flow.${domain}.${project}.${place.node}`, JSON.stringify(flowsOf(place, place.node)));
      await node.flush();
      expect((await live.root('PUT', `${inside(place)}/networks/second`, { subnets: [place.subnet.replace('0/24', '0/25').replace('10.', '11.')] })).status).toBe(200);
      expect((await live.root('GET', `${inside(place)}/networks`)).status).toBe(200);
      expect((await live.root('DELETE', `${inside(place)}/networks/second`)).status).toBe(200);
    }
    // Each node is asked, and answers.
    expect((await live.root('GET', '/v1/connections')).json<Connections>()).toMatchObject({ nodes: ['n1', 'n2'], missing: [] });
    const heardBy = (path: string, subject: RegExp): boolean => heard.some((one) => one.who.path === path && subject.test(one.subject));
    for (const who of people.filter(({ node }) => node === undefined)) {
      const where = who.domain === '_' || who.domain === 'rival' ? vault : who.project === 'blog' ? places[1] ?? shop : shop;
      for (const what of ['outcome', 'flow']) await eventually(() => heardBy(who.path, new RegExp(`^osier\\.${what}\\.${where.domain}\\.${where.project}\\.`)));
    }
    for (const node of ['n1', 'n2']) await eventually(() => heardBy(`platform-node-${node}`, new RegExp(`^osier\\.ask\\.connections\\.${node}$`)));
    await sleep(200);
    const foreign = heard.filter((one) => !mayHear(one.who, one.subject) || (one.who.domain !== 'rival' && one.who.domain !== '_' && secrets.some((secret) => one.body.includes(secret))));
    expect(foreign.map(({ who, ear, subject }) => `${who.path} by ${ear}: ${subject}`)).toEqual([]);
    // What may not be heard at all is refused, not only silent.
    const let_in = people.flatMap((who) => ears.filter((ear) => !refused.get(who.path)?.has(`${ear} undefined`)).map((ear) => ({ who, ear })));
    expect(let_in.filter(({ who, ear }) => ear !== '_INBOX.>' && !mayHear(who, ear)).map(({ who, ear }) => `${who.path} listens to ${ear}`)).toEqual([]);
    console.log(`ears: ${people.length * ears.length * 2} laid to the bus by ${people.length} credentials, ${[...refused.values()].reduce((sum, set) => sum + set.size, 0)} refused; ${heard.length} messages heard, all within their scope`);
  }, 60_000);
});
