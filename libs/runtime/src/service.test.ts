import { afterEach, describe, expect, it } from '@jest/globals';
import { intentName, intentsOf } from '@osier/contracts/catalogue';
import { accept, type Decision, refuse } from '@osier/domain/decision';
import type { HandlerContext, Handlers, ServiceDefinition } from '@osier/domain/service';
import type { Intent } from '@osier/domain/decision';
import { type Platform, type PlatformOptions, startPlatform } from '@osier/testing/platform';
import { queryReplySchema } from '@osier/contracts/queries';
import { type Bus, BusUnavailable, WrongLastSequence } from '@osier/bus/bus';

const never = async (): Promise<Decision> => { throw new Error('not in this test'); };
type Decide = (intent: Intent, context: HandlerContext) => Promise<Decision>;
const make = async (intent: Intent, context: HandlerContext): Promise<Decision> => {
  const { name, spec } = intent.body as { name: string; spec: never };
  return accept({ kind: 'domain', id: context.newId(), name, parent: '_', phase: 'active', domain: name, project: '_', environment: '_', spec, status: {} });
};
const tenant = (decide: Decide): ServiceDefinition<'tenant'> => ({
  name: 'tenant', knows: [],
  handlers: { 'domain.apply': decide, 'domain.delete': never, 'project.apply': never, 'project.delete': never, 'environment.apply': never, 'environment.delete': never, 'credential.apply': never, 'credential.delete': never, 'platform-credential.apply': never, 'platform-credential.delete': never } satisfies Handlers<'tenant'>,
});
const others = Object.fromEntries(intentsOf('policy').map((intent) => [intentName(intent), never])) as unknown as Handlers<'policy'>;
/** Allows policies in domains that exist. */
const policy: ServiceDefinition<'policy'> = {
  name: 'policy', knows: ['domain'],
  handlers: {
    ...others,
    'policy.delete': never,
    'policy.apply': async (intent, context) => {
      const exists = async () => (await context.known.list('domain', { domain: intent.scope.domain })).length > 0;
      if (!(await exists())) await context.catchUp();
      return (await exists()) ? accept() : refuse('unknown-domain', 'subject.domain', 'No such domain.', 'Make it.');
    },
  } satisfies Handlers<'policy'>,
};
const domain = (name: string, id = name) => ({ noun: 'domain', verb: 'apply', id, body: { name, spec: {} } });
const rule = (domainName: string, id: string) => ({ domain: domainName, project: 'p', environment: 'e', noun: 'policy', verb: 'apply', id, body: { name: 'x', spec: { appliesTo: {} } } });
const platformScope = { domain: '_', project: '_' };

/** Everything that is consumed from STATE comes 30 ms later. */
const slow = (bus: Bus): Bus => new Proxy(bus, {
  get: (object, name) => {
    if (name !== 'consume') return Reflect.get(object, name) as unknown;
    const consume: Bus['consume'] = (o) => object.consume({
      ...o,
      onBatch: async (batch) => {
        if (o.stream === 'STATE') await new Promise((resolve) => setTimeout(resolve, 30));
        await o.onBatch(batch);
      },
    });
    return consume;
  },
});

let platform: Platform;
const started = async (services: Parameters<typeof startPlatform>[0], options: PlatformOptions = {}): Promise<Platform> =>
  (platform = await startPlatform(services, { retryMs: 1, ...options }));
afterEach(() => platform.close());

describe('an intent', () => {
  it('that is stored twice is decided once', async () => {
    let decided = 0;
    await started([{ definition: tenant(async (intent, context) => (decided++, make(intent, context))) }]);
    await platform.wish(domain('acme'));
    await platform.publish(domain('acme'));
    await platform.settle();
    expect(decided).toBe(1);
    await platform.check();
  });

  it('without an id is answered under its sequence', async () => {
    await started([{ definition: tenant(make) }]);
    expect(await platform.wish(domain('acme', ''))).toMatchObject({ intentId: 'seq-1', result: 'accepted' });
  });

  it('that changes nothing has the revision of what it found', async () => {
    const unless: Decide = async (intent, context) => ((await context.own.list('domain')).length > 0 ? accept() : make(intent, context));
    await started([{ definition: tenant(unless) }]);
    const first = await platform.wish(domain('acme', 'one'));
    expect(first).toMatchObject({ revision: 1, changes: [{ kind: 'domain', path: 'acme', version: 1, revision: 1 }] });
    expect(await platform.wish(domain('acme', 'two'))).toMatchObject({ result: 'accepted', revision: 1, changes: [] });
  });

  it('whose id another project uses is one of its own', async () => {
    await started([{ definition: policy }]);
    expect(await platform.wish(rule('a', 'same'))).toMatchObject({ result: 'refused' });
    expect(await platform.wish(rule('b', 'same'))).toMatchObject({ result: 'refused' });
    await platform.check();
  });

  it('that a handler fails at for ever is refused in the end, and keeps none that came with it from being decided', async () => {
    let tries = 0;
    const decide: Decide = async (intent, context) => {
      if ((intent.body as { name: string }).name !== 'poison') return make(intent, context);
      tries++;
      throw new Error('handler bug');
    };
    await started([{ definition: tenant(decide) }]);
    await platform.stop('tenant');
    for (const name of ['a', 'poison', 'b']) await platform.publish(domain(name));
    await platform.start('tenant');
    expect(await platform.outcome(platformScope, 'poison')).toMatchObject({ result: 'refused', problem: { code: 'internal-error' } });
    expect((await platform.list('domain', {})).map((item) => item.document.name).sort()).toEqual(['a', 'b']);
    expect(tries).toBe(6);
    await platform.check();
  });

  it('that fails a few times is decided when it can be', async () => {
    let tries = 0;
    await started([{ definition: tenant(async (intent, context) => { if (++tries < 4) throw new Error('not yet'); return make(intent, context); }) }]);
    expect(await platform.wish(domain('acme'))).toMatchObject({ result: 'accepted' });
  });

  it('keeps its place among the others when the database is away for a while', async () => {
    const decided: string[] = [];
    let away = 0;
    const wrap: PlatformOptions['wrap'] = (_name, parts) => ({ ...parts, store: { ...parts.store, transaction: (work) => (away-- > 0 ? Promise.reject(new BusUnavailable('away')) : parts.store.transaction(work)) } });
    await started([{ definition: tenant(async (intent, context) => (decided.push(intent.id), make(intent, context))) }], { wrap, retryMs: 50 });
    const names = Array.from({ length: 200 }, (_, n) => `d${n}`);
    await platform.stop('tenant');
    for (const name of names) await platform.publish(domain(name));
    away = 3;
    await platform.start('tenant');
    await platform.outcome(platformScope, 'd199');
    await platform.settle();
    expect(decided).toEqual(names);
    await platform.check();
  });

  it('is continued in one trace: the document and the outcome carry it on', async () => {
    await started([{ definition: tenant(make) }]);
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await platform.wish({ ...domain('acme'), headers: { traceparent } });
    const headers = async (stream: string) => (await platform.bus.last(stream, stream === 'CHANGES' ? 'osier.state.>' : 'osier.outcome.>'))?.headers;
    expect((await headers('CHANGES'))?.['traceparent']).toContain('0af7651916cd43dd8448eb211c80319c');
    expect((await headers('OUTCOMES'))?.['traceparent']).toContain('0af7651916cd43dd8448eb211c80319c');
    expect(await headers('CHANGES')).toMatchObject({ 'ce-specversion': '1.0', 'ce-source': 'osier/tenant', 'ce-type': 'io.osier.domain.state' });
  });
});

describe('what others own', () => {
  it('is caught up with before something is refused for being unknown', async () => {
    await started([{ definition: tenant(make) }, { definition: policy }], { wrap: (name, parts) => (name === 'policy' ? { ...parts, bus: slow(parts.bus) } : parts) });
    for (let i = 0; i < 5; i++) {
      await platform.wish(domain(`d${i}`));
      expect(await platform.wish(rule(`d${i}`, `r${i}`))).toMatchObject({ result: 'accepted' });
    }
    expect(await platform.wish(rule('nowhere', 'r'))).toMatchObject({ result: 'refused', problem: { code: 'unknown-domain' } });
  });

  it('is known again from nothing, and after a restart', async () => {
    await started([{ definition: tenant(make) }, { definition: policy }]);
    await platform.wish(domain('a'));
    await platform.stop('policy');
    await platform.wish(domain('b'));
    await platform.start('policy');
    expect(await platform.wish(rule('a', '1'))).toMatchObject({ result: 'accepted' });
    expect(await platform.wish(rule('b', '2'))).toMatchObject({ result: 'accepted' });
  });

  it('leads to reactions, once for each change', async () => {
    const reacted: string[] = [];
    const reacting: ServiceDefinition<'policy'> = {
      ...policy,
      onState: async (document) => {
        reacted.push(`${document.name} v${document.version}`);
        return { puts: [] };
      },
    };
    await started([{ definition: tenant(make) }, { definition: reacting }]);
    await platform.wish(domain('a'));
    await platform.settle();
    await platform.stop('policy');
    await platform.start('policy');
    await platform.settle();
    expect(reacted).toEqual(['a v1']);
  });
});

describe('a bus that was down', () => {
  it('is gone on with by itself', async () => {
    await started([{ definition: tenant(make) }]);
    await platform.wish(domain('a'));
    platform.broker.stop();
    await new Promise((resolve) => setTimeout(resolve, 50));
    platform.broker.start();
    expect(await platform.wish(domain('b'))).toMatchObject({ result: 'accepted' });
    await platform.check();
  });

  it('and has lost CHANGES gets every document again', async () => {
    await started([{ definition: tenant(make) }]);
    for (const name of ['a', 'b']) await platform.wish(domain(name));
    await platform.settle();
    await platform.stop('tenant');
    platform.broker.deleteStream('CHANGES');
    platform.broker.deleteStream('STATE');
    await platform.start('tenant');
    await platform.settle();
    expect(await platform.bus.stream('CHANGES')).toMatchObject({ messages: 2 });
    expect(await platform.wish(domain('c'))).toMatchObject({ result: 'accepted', revision: 1_000_003 });
    await platform.check();
  });

  it('and has lost its streams while everyone went on is noticed, and everything is known again', async () => {
    await started([{ definition: tenant(make) }, { definition: policy }]);
    for (const name of ['a', 'b', 'c']) await platform.wish(domain(name));
    await platform.settle();
    for (const stream of ['CHANGES', 'STATE']) platform.broker.deleteStream(stream);
    await platform.checkStreams();
    await platform.settle();
    expect(await platform.bus.stream('STATE')).toMatchObject({ messages: 3 });
    expect(await platform.wish(domain('d'))).toMatchObject({ result: 'accepted', revision: 1_000_004 });
    expect(await platform.wish(rule('d', 'r'))).toMatchObject({ result: 'accepted' });
    await platform.check();
  });
});

describe('the list of a service', () => {
  const ask = async (subject: string, request: unknown) =>
    queryReplySchema.parse(JSON.parse(new TextDecoder().decode((await platform.bus.request(subject, new TextEncoder().encode(JSON.stringify(request)))).data)));

  it('shows a domain what is its own, and the platform everything', async () => {
    await started([{ definition: tenant(make) }]);
    for (const name of ['a', 'b']) await platform.wish(domain(name));
    const names = async (scope: string) => ((await ask(`osier.query.tenant.${scope}.list`, { kind: 'domain' })) as { data: { items: { document: { name: string }; revision: number }[] } })
      .data.items.map((item) => `${item.document.name}@${item.revision}`);
    expect(await names('a._')).toEqual(['a@1']);
    expect(await names('_._')).toEqual(['a@1', 'b@2']);
    expect(await names('c._')).toEqual([]);
  });

  it('that does not fit into one answer comes page by page, each object once', async () => {
    await started([{ definition: tenant(make) }]);
    const long = 'x'.repeat(1_000);
    for (let i = 0; i < 1_200; i++) await platform.publish({ ...domain(`d${i}`), body: { name: `d${i}`, spec: { description: long } } });
    await platform.outcome(platformScope, 'd1199');
    const names: string[] = [];
    let pages = 0;
    for (let after: object = {}; ; pages++) {
      const { data } = (await ask('osier.query.tenant._._.list', { kind: 'domain', ...after })) as { data: { items: { document: { name: string } }[]; next?: string } };
      names.push(...data.items.map((item) => item.document.name));
      if (data.next === undefined) break;
      after = { after: data.next };
    }
    expect(pages).toBeGreaterThan(0);
    expect(names.sort()).toEqual(Array.from({ length: 1_200 }, (_, i) => `d${i}`).sort());
    expect(await ask('osier.query.tenant._._.list', { kind: 'domain', name: 'd7' })).toMatchObject({ ok: true, data: { items: [{ document: { name: 'd7' } }] } });
  }, 30_000);

  it.each([
    ["another's kind", { kind: 'network' }, 'wrong-service'], ['an unknown kind', { kind: 'teapot' }, 'unknown-value'], ['no object', 7, 'wrong-type'],
  ])('refuses %s', async (_what, request, code) => {
    await started([{ definition: tenant(make) }]);
    expect(await ask('osier.query.tenant.a._.list', request)).toMatchObject({ ok: false, problem: { code } });
  });
});

describe('an outcome', () => {
  it('that is there already stays as it was', async () => {
    await started([{ definition: tenant(make) }]);
    await platform.wish(domain('a'));
    const again = platform.bus.publish('osier.outcome._._.a', new TextEncoder().encode('{}'), { expectedLastSubjectSequence: 0 });
    await expect(again).rejects.toThrow(WrongLastSequence);
  });
});
