// Everything that can be said on the bus, made from the contracts, said with a tenant's and with a node's credential: what is theirs gets through, nothing else does.
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { setTimeout as sleep } from 'node:timers/promises';
import { catalogue } from '@osier/contracts/catalogue';
import { interestSubject } from '@osier/contracts/coordination';
import { kindNames } from '@osier/contracts/kinds';
import { queries, type QueryName } from '@osier/contracts/queries';
import { type StreamDeclaration, streams } from '@osier/contracts/streams';
import { barrierSubject, flowSubject, intentSubject, observationSubject, outcomeSubject, outcomeToken, querySubject, receiptSubject, stateSubject } from '@osier/contracts/subjects';
import { bytes, installation, type Installation, them, us, type World } from './world.ts';

jest.setTimeout(60_000);
/** As long as fits into the line of a client that wants no answer; the services' own lines have more around it. */
const longest = 'x'.repeat(4_030);
const id = '01997f5e-5b3c-7cc0-8000-000000000001';
type Who = 'tenant' | 'node';

/** Every subject of the contracts, with each name that could stand in it. */
function subjects(): string[] {
  const domains = [us.domain, them.domain, '_', 'osier'];
  const credentials = [us.credential, us.colleague, 'osier-topology', 'api'];
  const nodes = [us.node, them.node, `${us.node}-2`];
  const scope = (domain: string) => ({ domain, project: 'shop', environment: 'staging' });
  return [
    ...catalogue.flatMap(({ noun, verb }) => domains.flatMap((domain) => credentials.map((credential) => intentSubject({ ...scope(domain), noun, verb, credential })))),
    ...kindNames.flatMap((noun) => domains.map((domain) => stateSubject({ ...scope(domain), noun, parent: '_', id }))),
    barrierSubject, interestSubject(id),
    ...domains.map((domain) => outcomeSubject(domain, 'shop', 'forged')),
    ...nodes.flatMap((node) => [receiptSubject(node), observationSubject(node, 'hello'), observationSubject(node, 'drift'), ...domains.map((domain) => flowSubject(domain, 'shop', node))]),
  ];
}
/** `*` stands for one token. */
const isLike = (pattern: string, subject: string): boolean => pattern.split('.').length === subject.split('.').length && pattern.split('.').every((token, i) => token === '*' || token === subject.split('.')[i]);

/** What is theirs. A node may report flows of any domain: it is not known beforehand whose endpoints it will hold. */
function allowed(who: Who, subject: string): boolean {
  if (who === 'node') return [receiptSubject(us.node), `osier.observation.${us.node}.*`, flowSubject('*', '*', us.node)].some((pattern) => isLike(pattern, subject));
  return catalogue.some((i) => !i.internal && i.level !== 'platform' && isLike(intentSubject({ domain: us.domain, project: '*', environment: '*', noun: i.noun, verb: i.verb, credential: us.credential }), subject));
}
/** Says all of it, and returns what a stream has stored of it. */
async function stored(w: World, connection: NatsConnection, said: readonly string[], mark: string): Promise<string[]> {
  for (const [i, subject] of said.entries()) {
    connection.publish(subject, bytes(`${mark} ${subject}`));
    if (i % 64 === 0) await connection.flush();
  }
  await connection.flush();
  // A server answers the flush before its streams have stored what it has taken.
  await sleep(500);
  const found: string[] = [];
  for (const { name } of Object.values<StreamDeclaration>(streams).filter((s) => s.mirrorOf === undefined)) {
    for await (const message of w.services.read({ stream: name })) if (new TextDecoder().decode(message.data) === `${mark} ${message.subject}`) found.push(message.subject);
  }
  return found.sort();
}

describe.each<Who>(['tenant', 'node'])("with a %s's credential", (who) => {
  let real: Installation;
  let w: World;
  beforeAll(async () => {
    real = await installation('generated');
    w = await real.enter();
  });
  afterAll(async () => {
    await w.leave();
    await real.close();
  });

  it('of all that can be said, what is its own is stored, and nothing else', async () => {
    const said = subjects();
    const expected = said.filter((subject) => allowed(who, subject)).sort();
    expect(said.length).toBeGreaterThan(300);
    expect(expected.length).toBeGreaterThan(5);
    // A receipt replaces the one before it, so each subject is said once.
    expect(await stored(w, w[who], said, 'forged')).toEqual(expected);
  });

  it('no query is answered, be it about its own', async () => {
    const responders = await Promise.all((Object.keys(queries) as QueryName[]).map((name) => {
      const { service } = queries[name];
      return w.services.respond(querySubject(service, '*', '*', name.slice(service.length + 1)), service, async () => ({ data: bytes('answer') }));
    }));
    const asked = (Object.keys(queries) as QueryName[]).flatMap((name) => [us.domain, them.domain, '_'].map((domain) => querySubject(queries[name].service, domain, domain === '_' ? '_' : 'shop', name.slice(queries[name].service.length + 1))));
    expect(asked.length).toBeGreaterThan(10);
    for (const subject of asked) expect(new TextDecoder().decode((await w.services.request(subject, bytes('{}'))).data)).toBe('answer');
    const answers = await Promise.all(asked.map((subject) => w[who].request(subject, '{}', { timeout: 1_000 }).then((m) => m.string(), () => undefined)));
    expect(answers.filter((answer) => answer !== undefined)).toEqual([]);
    await Promise.all(responders.map((one) => one.stop()));
  });
});

describe('all that can be said, where everybody is in one account', () => {
  it('gets through: the list is no list of things that nobody could say', async () => {
    const open = await installation('open');
    const w = await open.enter();
    const said = subjects().filter((subject) => !subject.includes('osier.query'));
    expect((await stored(w, w.tenant, said, 'forged')).length).toBe(said.length);
    await w.leave();
    await open.close();
  });
});

describe("an intent in a scope that is no name, as a tenant's own client may send it", () => {
  it.each([['*', '*'], ['>', '>'], ['a*', 'a*'], ['ü', 'ü'], ['NUL', '\u0000'], ['the longest there can be', longest]])('%s: its outcome finds a place', async (_what, project) => {
    const real = await installation('generated');
    const w = await real.enter();
    try {
      const subject = intentSubject({ domain: us.domain, project, environment: 'staging', noun: 'network', verb: 'apply', credential: us.credential });
      w.tenant.publish(subject, bytes('{}'));
      await w.tenant.flush();
      const last = () => w.services.last('INTENTS', `osier.intent.${us.domain}.>`);
      for (let i = 0; i < 500 && (await last()) === undefined; i++) await sleep(10);
      expect((await last())?.subject).toBe(subject);
      await w.services.publish(outcomeSubject(us.domain, 'shop', 'same'), bytes('{}'), { expectedLastSubjectSequence: 0 });
      await w.services.publish(outcomeSubject(us.domain, outcomeToken(project), 'same'), bytes('{}'), { expectedLastSubjectSequence: 0 });
    } finally {
      await w.leave();
      await real.close();
    }
  });
  it.each([['*', '*', 'same'], ['>', '>', 'same'], ['the longest there can be', longest, 'y'.repeat(128)]])('%s: as it is written there is none', async (_what, project, intent) => {
    const real = await installation('generated');
    try {
      await real.services.publish(outcomeSubject(us.domain, 'shop', 'same'), bytes('{}'), { expectedLastSubjectSequence: 0 });
      const written = real.services.publish(outcomeSubject(us.domain, project, intent), bytes('{}'), { expectedLastSubjectSequence: 0, timeoutMs: 1_000 });
      await expect(written).rejects.toThrow();
    } finally {
      await real.close();
    }
  });
});
