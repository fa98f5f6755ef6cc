import { afterEach, describe, expect, it } from '@jest/globals';
import type { Bus } from '@osier/bus/bus';
import { type DeadLetter, deadLetterSchema } from '@osier/contracts/dead';
import { problem } from '@osier/contracts/problem';
import { accept, type Decision, type Intent } from '@osier/domain/decision';
import type { HandlerContext, Handlers, ServiceDefinition } from '@osier/domain/service';
import type { Store } from '@osier/store/store';
import { type Platform, type PlatformOptions, startPlatform } from '@osier/testing/platform';
import { attempts } from './batch.ts';
import { buryIn } from './dead.ts';

const never = async (): Promise<Decision> => { throw new Error('not in this test'); };
const nameIn = (intent: Intent): string => (intent.body as { name: string }).name;
const make = (intent: Intent, context: HandlerContext): Decision => {
  const { name, spec } = intent.body as { name: string; spec: never };
  return accept({ kind: 'domain', id: context.newId(), name, parent: '_', phase: 'active', domain: name, project: '_', environment: '_', spec, status: {} });
};
const tenant = (onPoison: () => void): ServiceDefinition<'tenant'> => ({
  name: 'tenant', knows: [],
  handlers: {
    'domain.delete': never, 'project.apply': never, 'project.delete': never, 'environment.apply': never, 'environment.delete': never,
    'credential.apply': never, 'credential.delete': never, 'platform-credential.apply': never, 'platform-credential.delete': never,
    'domain.apply': async (intent, context) => {
      if (nameIn(intent).startsWith('poison')) {
        onPoison();
        throw new Error('handler bug');
      }
      return make(intent, context);
    },
  } satisfies Handlers<'tenant'>,
});
const domain = (name: string) => ({ noun: 'domain', verb: 'apply', id: name, body: { name, spec: {} } });
const place = { domain: '_', project: '_' };

let platform: Platform;
const started = async (definition: ServiceDefinition<'tenant'>, options: PlatformOptions = {}): Promise<Platform> =>
  (platform = await startPlatform([{ definition }], { retryMs: 1, ...options }));
afterEach(() => platform.close());

async function letters(): Promise<{ subject: string; letter: DeadLetter }[]> {
  const found = [];
  for await (const { subject, data } of platform.bus.read({ stream: 'DEAD' })) found.push({ subject, letter: deadLetterSchema.parse(JSON.parse(new TextDecoder().decode(data))) });
  return found;
}
const names = async (): Promise<string[]> => (await platform.list('domain', {})).map((item) => item.document.name).sort();

describe('an intent that is given up', () => {
  it('is refused, and is in DEAD with all that was published and why', async () => {
    await started(tenant(() => undefined));
    const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
    expect(await platform.wish({ ...domain('poison'), headers: { traceparent, 'x-own': 'kept' } })).toMatchObject({ result: 'refused', problem: { code: 'internal-error' } });
    expect(await platform.wish(domain('after'))).toMatchObject({ result: 'accepted' });
    expect(await letters()).toEqual([{
      subject: 'osier.dead._._.poison',
      letter: {
        intentId: 'poison', intent: 'domain.apply', ...place, environment: '_', credential: 'ci', subject: 'osier.intent._._._.domain.apply.ci', sequence: 1,
        headers: { 'ce-id': 'poison', traceparent, 'x-own': 'kept' }, headersLeftOut: 0, body: { encoding: 'json', text: '{"name":"poison","spec":{}}' }, bytes: 27,
        problem: expect.objectContaining({ code: 'internal-error' }), cause: 'Error: handler bug', service: 'tenant', tries: attempts, at: expect.any(String),
      },
    }]);
    await platform.check();
  });

  it('is not refused before its dead letter is stored', async () => {
    let down = true;
    const refusing = (bus: Bus): Bus => new Proxy(bus, {
      get: (object, key) => {
        if (key !== 'publish') return Reflect.get(object, key) as unknown;
        const publish: Bus['publish'] = async (subject, ...rest) => {
          if (down && subject.startsWith('osier.dead.')) throw new Error('no room');
          return object.publish(subject, ...rest);
        };
        return publish;
      },
    });
    await started(tenant(() => undefined), { wrap: (_name, parts) => ({ ...parts, bus: refusing(parts.bus) }) });
    await platform.publish(domain('poison'));
    expect(await platform.wish(domain('after'))).toMatchObject({ result: 'accepted' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await platform.bus.last('OUTCOMES', 'osier.outcome._._.poison')).toBeUndefined();
    down = false;
    expect(await platform.outcome(place, 'poison')).toMatchObject({ result: 'refused' });
    expect(await letters()).toHaveLength(1);
  });

  it('keeps its first dead letter, whatever is said of it later', async () => {
    await started(tenant(() => undefined));
    const bury = buryIn(platform.bus, 'tenant', () => 0);
    const intent = { id: 'x', name: 'domain.apply', credential: 'ci', scope: { domain: 'a/b', project: '*', environment: '_' } };
    const message = { subject: 's', headers: {}, data: new Uint8Array(), sequence: 1 };
    for (const cause of ['first', 'second']) await bury(intent, message, { problem: { code: 'c', reason: 'r', path: '', fix: 'f' }, cause, tries: 1 });
    expect((await letters()).map(({ subject, letter }) => [subject, letter.cause])).toEqual([['osier.dead._invalid._invalid.x', 'first']]);
  });

  it('is laid into DEAD although the stream was missing', async () => {
    await started(tenant(() => undefined));
    platform.broker.deleteStream('DEAD');
    expect(await platform.wish(domain('poison'))).toMatchObject({ result: 'refused' });
    expect(await letters()).toHaveLength(1);
  });
});

describe('a body that nobody can read', () => {
  it.each([
    ['no JSON', '{"name"', 'not-json', { encoding: 'base64', text: btoa('{"name"') }],
    ['too large', ' '.repeat(300_000), 'too-large', { encoding: 'left-out' }],
  ])('%s is refused and laid aside at once', async (_what, body, code, kept) => {
    await started(tenant(() => undefined));
    expect(await platform.wish({ ...domain('x'), body })).toMatchObject({ result: 'refused', problem: { code } });
    expect((await letters()).map(({ letter }) => [letter.body, letter.problem.code, letter.tries])).toEqual([[kept, code, 1]]);
  });
  it('is not what a mistake is: that is refused, and nothing more', async () => {
    await started(tenant(() => undefined));
    expect(await platform.wish({ ...domain('x'), body: { name: 'x', spec: { colour: 'red' } } })).toMatchObject({ result: 'refused' });
    expect(await letters()).toEqual([]);
  });
  it('with more headers than are kept says how many are missing', async () => {
    await started(tenant(() => undefined));
    await platform.wish({ ...domain('x'), body: '-', headers: { long: 'x'.repeat(20_000), short: 'y' } });
    const [found] = await letters();
    expect([found?.letter.headers['short'], found?.letter.headers['long'], found?.letter.headersLeftOut]).toEqual(['y', undefined, 1]);
  });
});

/** Lives of a process that end for good: what a dead one still does has no effect. */
function lives() {
  const life = { dead: false, count: 0, died: (): void => undefined };
  const mortal = <T extends object>(target: T, mine: { dead: boolean }): T => new Proxy(target, {
    get: (object, key) => {
      const value = Reflect.get(object, key) as unknown;
      if (typeof value !== 'function' || key === 'close') return value;
      return (...args: unknown[]) => {
        if (mine.dead) throw new Error('dead');
        return (value as (...a: unknown[]) => unknown).apply(object, args);
      };
    },
  });
  let now = { dead: false };
  return {
    life,
    wrap: (_name: string, parts: { bus: Bus; store: Store }) => {
      now = { dead: false };
      return { bus: parts.bus, store: mortal(parts.store, now) };
    },
    end: () => {
      now.dead = true;
      life.count++;
      life.died();
    },
  };
}

describe('an intent that ends the whole process', () => {
  it('each time is given up after some lives, and those around it are decided', async () => {
    const { life, wrap, end } = lives();
    await started(tenant(end), { wrap });
    await platform.stop('tenant');
    for (const name of ['a', 'poison-1', 'b', 'poison-2', 'c']) await platform.publish(domain(name));
    const done = Promise.all(['a', 'poison-1', 'b', 'poison-2', 'c'].map((name) => platform.outcome(place, name)));
    let finished = false;
    void done.then(() => (finished = true), () => undefined);
    while (!finished && life.count < 20) {
      const died = new Promise<void>((resolve) => (life.died = resolve));
      await platform.start('tenant');
      await Promise.race([died, done]);
      if (!finished) await platform.stop('tenant');
    }
    expect((await done).map((outcome) => outcome.result)).toEqual(['accepted', 'refused', 'accepted', 'refused', 'accepted']);
    expect(await names()).toEqual(['a', 'b', 'c']);
    // The first life ends in a batch, where nobody can tell which one did it.
    expect(life.count).toBe(2 * attempts + 1);
    expect((await letters()).map(({ letter }) => [letter.intentId, letter.tries, letter.cause])).toEqual(['poison-1', 'poison-2'].map((id) =>
      [id, attempts, `Error: the process ended ${attempts} times while this was being done`]));
    await platform.check();
  }, 30_000);

  it('when its time is over is given up after some lives, and what else is overdue is decided', async () => {
    const { life, wrap, end } = lives();
    const scope = { domain: 'acme', project: 'shop', environment: 'staging' };
    const topology: ServiceDefinition<'topology'> = {
      name: 'topology', knows: [],
      handlers: {
        'node.apply': never, 'node.delete': never, 'network.apply': never, 'network.delete': never, 'endpoint.delete': never,
        'endpoint.apply': async (intent) => ({ result: 'waiting', awaits: `${intent.id}-lease`, deadlineMs: 1_000, note: {}, intents: [] }),
      } satisfies Handlers<'topology'>,
      onOutcome: async ({ intent }) => {
        if (intent.id.startsWith('poison')) {
          end();
          throw new Error('dead');
        }
        return { result: 'refused', problem: problem('too-late', '', 'Nobody answered.', 'Try again.') };
      },
    };
    platform = await startPlatform([{ definition: topology }], { wrap });
    const ids = ['a', 'poison', 'b'];
    for (const id of ids) await platform.publish({ ...scope, noun: 'endpoint', verb: 'apply', id, body: { name: id, spec: { network: 'main', node: 'node-1', attachment: { containerId: id } } } });
    await platform.settle();
    for (const until = life.count + 20; life.count < until; ) {
      const before = life.count;
      await platform.advance(2_000).catch(() => undefined);
      if (life.count === before) break;
      await platform.stop('topology');
      await platform.start('topology');
    }
    expect(life.count).toBe(attempts);
    const codes = await Promise.all(ids.map(async (id) => ((await platform.outcome(scope, id)) as { problem?: { code: string } }).problem?.code));
    expect(codes).toEqual(['too-late', 'internal-error', 'too-late']);
    expect((await letters()).map(({ letter }) => [letter.intentId, letter.tries])).toEqual([['poison', attempts]]);
  }, 30_000);

  it('once, by chance, is decided by the next', async () => {
    const { wrap, end } = lives();
    let first = true;
    const definition = tenant(() => undefined);
    const once: typeof definition = {
      ...definition,
      handlers: { ...definition.handlers, 'domain.apply': async (intent, context) => {
        if (first) end();
        first = false;
        return make(intent, context);
      } },
    };
    await started(once, { wrap });
    await platform.publish(domain('a'));
    while (first) await new Promise((resolve) => setTimeout(resolve, 5));
    await platform.stop('tenant');
    await platform.start('tenant');
    expect(await platform.outcome(place, 'a')).toMatchObject({ result: 'accepted' });
    await platform.settle();
    expect(await letters()).toEqual([]);
    await platform.check();
  });
});
