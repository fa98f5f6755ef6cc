// Each credential against every route of the OpenAPI document, with names of its own, of its neighbours, of strangers, and of what does not exist. Whom a route lets in
// is written down in live/routes.ts, by hand; what may not be known must look the same whether it exists or not, and every refusal is on record.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DoorRecord } from '@osier/contracts/audit';
import { kinds, writableKinds } from '@osier/contracts/kinds';
import { openapi } from '../../apps/api/src/openapi.ts';
import { type Answer, hangUp } from './live/http.ts';
import { blog, inside, type Land, settle, shop, vault } from './live/land.ts';
import { asker, type Person } from './live/people.ts';
import { fill, mayAsk, type Names, pairs, rules } from './live/routes.ts';
import { eventually } from './live/world.ts';

const document = openapi() as { paths: Record<string, Record<string, unknown>> };
const routes = Object.entries(document.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path, route: `${method.toUpperCase()} ${path}` })));
/** Of an object that nobody has at this version, so that whoever may change it changes nothing. */
const never = { 'if-match': '"987654321"' };

function bodyOf(method: string, path: string): string | undefined {
  if (method === 'GET') return undefined;
  const kind = method === 'PUT' ? writableKinds.find((one) => path.includes(`/${kinds[one].plural}/{${path.split('{').at(-1)?.replace('}', '')}}`) && path.endsWith('}')) : undefined;
  if (kind !== undefined) return JSON.stringify(kinds[kind].example);
  return path === '/v1/enforcement' ? '{"changes":[]}' : path.startsWith('/v1/intents') ? JSON.stringify({ name: 'ghost', expectedVersion: 987654321, spec: kinds.network.example }) : '{}';
}
/** All that whoever asks gets to see. */
const seen = ({ status, headers, text }: Answer): string => JSON.stringify([status, Object.entries(headers).filter(([name]) => name !== 'date').sort(), text]);

describe('the HTTP door, to everybody who has a credential', () => {
  let land: Land;
  let secrets: string[];
  beforeAll(async () => {
    land = await settle();
    secrets = [...(await land.secrets('rival')), vault.network, vault.endpoint, vault.policy, vault.dead, vault.intent, vault.subnet, `container-of-${vault.endpoint}`, 'spymaster', 'vault', 'hidden', 'rival'];
  }, 60_000);
  afterAll(async () => {
    await land?.close();
    hangUp();
  });

  const records = async (): Promise<(DoorRecord & { subject: string })[]> => {
    const found: (DoorRecord & { subject: string })[] = [];
    for await (const message of land.live.bus.read({ stream: 'AUDIT' })) found.push({ ...(JSON.parse(new TextDecoder().decode(message.data)) as DoorRecord), subject: message.subject });
    return found;
  };
  const documents = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const message of land.live.bus.read({ stream: 'STATE' })) if (!/\.(barrier|interest)\./.test(message.subject)) found.push(`${message.sequence} ${message.subject}`);
    return found;
  };
  const letters = async (): Promise<number | undefined> => (await land.live.bus.stream('DEAD'))?.messages;
  /** What of rival's there is in an answer that its asker did not say himself. */
  const leaked = (answer: Answer, said: string): string[] => {
    const all = `${JSON.stringify(answer.headers)} ${answer.text}`;
    // The log repeats to acme what acme's own people have asked for.
    const known = said.startsWith('/v1/audit') ? ['vault', 'hidden', 'rival', vault.network, vault.intent, vault.dead] : [];
    return secrets.filter((secret) => !known.includes(secret)).filter((secret) => !said.includes(secret) && all.includes(secret));
  };
  const strangers = (): Person[] => [...land.people.values()].filter(({ domain, node }) => domain === 'acme' || node !== undefined);
  const subjectOf = ({ domain, token }: Person): string => `osier.audit.${domain === '_' ? '' : `${domain}_`}${token}`;

  it('knows every route of the document', () => expect(routes.map(({ route }) => route).filter((route) => !rules.has(route))).toEqual([]));

  it('lets each in where it may, and says the same to the others whatever there is', async () => {
    const [before, lettersBefore] = [await documents(), await letters()];
    const wrong: string[] = [];
    const count = { asked: 0, refused: 0, recorded: 0, pairs: 0, answered: 0 };
    const recordedBefore = await records();
    const expected: { subject: string; request: string }[] = [];
    await Promise.all([...land.people.values()].filter(({ domain }) => domain !== 'rival').map(async (who) => {
      const ask = asker(land.live, who);
      for (const { method, path, route } of routes) {
        const one = async (names: Names): Promise<{ answer: Answer; allowed: boolean }> => {
          const [where, body, allowed] = [fill(path, names), bodyOf(method, path), mayAsk(who, route, names)];
          // Whoever may throw a dead letter away, or have it tried again, would.
          const isReal = allowed && method !== 'GET' && path.startsWith('/v1/dead-letters');
          const at = isReal ? where.replace(names.intentId, 'none-such') : where;
          const answer = await ask(method, method === 'GET' ? at : `${at}?timeout=5s`, { headers: method === 'GET' ? {} : never, body });
          count.asked++;
          const isRefused = answer.status === 403;
          if (isRefused) {
            count.refused++;
            expected.push({ subject: subjectOf(who), request: `${method} ${at}` });
          } else if (allowed) count.answered++;
          if (isRefused === allowed || answer.status === 401 || answer.status >= 500) wrong.push(`${who.path} ${method} ${at}: ${answer.status} ${answer.text.slice(0, 200)}`);
          const found = who.domain === 'acme' || who.node !== undefined ? leaked(answer, `${at} ${body ?? ''}`) : [];
          if (found.length > 0) wrong.push(`${who.path} ${method} ${at} tells of ${found.join(', ')}`);
          return { answer, allowed };
        };
        for (const [there, ghost] of new Map(pairs.map((pair) => [fill(path, pair[0]) + fill(path, pair[1]), pair])).values()) {
          const [real, none] = [await one(there), await one(ghost)];
          if (real.allowed || none.allowed) continue;
          count.pairs++;
          if (seen(real.answer) !== seen(none.answer)) wrong.push(`${who.path} ${method} ${path} tells ${JSON.stringify(there)} from ${JSON.stringify(ghost)}`);
        }
      }
    }));
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(await documents()).toEqual(before);
    expect(await letters()).toBe(lettersBefore);
    const found = (await records()).slice(recordedBefore.length).filter(({ status }) => status === 403).map(({ subject, request }) => `${subject} ${request}`);
    count.recorded = found.length;
    expect(found.sort()).toEqual(expected.map(({ subject, request }) => `${subject} ${request}`).sort());
    expect([...land.live.complaints(), ...land.live.violations()].slice(0, 20)).toEqual([]);
    console.log(`door: ${count.asked} requests by ${land.people.size - 1} credentials to ${routes.length} routes: ${count.refused} refused, ${count.recorded} of these on record, ${count.answered} within their scope; ${count.pairs} pairs of existing and not existing looked the same; 0 leaks`);
  }, 60_000);

  it('narrows what is asked of everything to what is within reach', async () => {
    const lists = routes.filter(({ method, route }) => method === 'GET' && ['narrowed', 'enclosing', 'project', 'domain', 'platform'].includes(rules.get(route)?.[0] ?? ''));
    const all: Names = { domain: '_', project: '_', environment: '_', name: vault.network, intentId: vault.intent, noun: 'network', verb: 'apply' };
    let asked = 0;
    for (const who of strangers()) {
      const ask = asker(land.live, who);
      for (const { path } of lists) {
        for (const names of [all, { ...all, domain: 'acme' }, { ...all, project: 'vault' }, { ...all, environment: 'hidden' }, { ...all, domain: 'rival' }]) {
          const where = fill(path, names);
          const answer = await ask('GET', where);
          asked++;
          expect({ who: who.path, where, leaked: leaked(answer, where), status: answer.status < 500 }).toEqual({ who: who.path, where, leaked: [], status: true });
          if (who.project === 'shop') expect(answer.text).not.toMatch(/preview|press|writer|readers|10\.2\.0/);
        }
      }
    }
    const editor = asker(land.live, land.person('acme/shop-editor'));
    expect((await editor('GET', '/v1/domains')).json<{ items: { document: { name: string } }[] }>().items.map(({ document: d }) => d.name)).toEqual(['acme']);
    expect((await editor('GET', '/v1/domains/_/projects')).json<{ items: { document: { name: string } }[] }>().items.map(({ document: d }) => d.name)).toEqual(['shop']);
    expect((await editor('GET', '/v1/domains/_/projects/_/environments/_/networks')).json<{ items: { document: { name: string } }[] }>().items.map(({ document: d }) => d.name)).toEqual([shop.network]);
    console.log(`door: ${asked} questions about everything, each answered from within reach or refused`);
  }, 30_000);

  it('flows, connections, the audit log and dead letters are those of the scope, whatever filter is asked for', async () => {
    const viewer = await asker(land.live, land.person('platform-watch'))('GET', '/v1/flows');
    expect(viewer.text).toMatch(vault.network);
    const all = await asker(land.live, land.person('platform-watch'))('GET', '/v1/connections');
    expect(all.text).toMatch(vault.network);
    expect(all.json()).toMatchObject({ nodes: ['n1', 'n2'], missing: [] });
    let asked = 0;
    for (const who of strangers()) {
      const ask = asker(land.live, who);
      for (const path of ['/v1/flows', '/v1/connections', '/v1/audit', '/v1/dead-letters']) {
        for (const query of ['', '?domain=_', '?domain=_&project=_', '?project=vault', '?domain=acme&project=_', '?domain=rival', '?domain=rival&project=vault', '?domain=*', '?domain=%3E', '?domain=acme&domain=rival', '?domain=acme&project=vault', '?environment=hidden', '?credential=spymaster&limit=1000', '?domain[]=rival', '?before=9999.9999&limit=1000', '?since=1h']) {
          const answer = await ask('GET', path + query);
          asked++;
          expect({ who: who.path, query: path + query, leaked: leaked(answer, path + query), status: answer.status < 500 }).toEqual({ who: who.path, query: path + query, leaked: [], status: true });
          if (who.project === 'shop' && answer.status === 200) expect(answer.text).not.toMatch(/preview|press|dead-blog|"project":"blog"/);
        }
      }
    }
    expect((await asker(land.live, land.person('acme/approver'))('GET', '/v1/dead-letters')).json<{ items: { intentId: string }[] }>().items.map(({ intentId }) => intentId).sort()).toEqual([blog.dead, shop.dead]);
    expect((await asker(land.live, land.person('acme/shop-approver'))('GET', '/v1/dead-letters')).json<{ items: { intentId: string }[] }>().items.map(({ intentId }) => intentId)).toEqual([shop.dead]);
    console.log(`door: ${asked} questions to logs and nodes, each answered from within reach or refused`);
  }, 60_000);

  it("enforcement tells of one's own changes alone, by whatever id and subject they are named", async () => {
    const states: { kind: string; id: string; subject: string; revision: number }[] = [];
    for await (const { subject, sequence } of land.live.bus.read({ stream: 'STATE', filters: ['osier.state.rival.>'] })) states.push({ kind: subject.split('.')[5] ?? '', id: subject.split('.')[7] ?? '', subject, revision: sequence });
    expect(states.length).toBeGreaterThan(5);
    const ghostId = '01997f5e-5b3c-7cc0-8000-00000000dead';
    for (const who of strangers().filter(({ node }) => node === undefined)) {
      const ask = asker(land.live, who);
      const about = (changes: readonly object[]): Promise<Answer> => ask('POST', '/v1/enforcement?timeout=0s', { body: JSON.stringify({ changes }) });
      const none = seen(await about([]));
      for (const change of states) {
        expect(seen(await about([change]))).toBe(none);
        const [own, ghost] = await Promise.all([change.id, ghostId].map((id) => about([{ ...change, id, subject: `osier.state.acme.shop.staging.${change.kind}._.${id}` }])));
        expect(own && ghost && seen(own)).toBe(ghost && seen(ghost));
        for (const subject of ['osier.state.*.*.*.network._.x', 'osier.state.acme.shop.staging.network.rival.x.y', '>', `${change.subject} `, `osier.state.rival.vault.hidden.network._.${change.id}.x`]) {
          expect(leaked(await about([{ ...change, subject }]), `${change.id}${subject}`)).toEqual([]);
        }
      }
    }
  }, 30_000);

  it('has no other way in: methods, overrides, odd spellings of a path', async () => {
    const before = await documents();
    const target = `${inside(vault)}/networks/${vault.network}`;
    const spell = (from: string, to: string): string => target.replace(from, to);
    const spellings = [
      spell('rival', 'acme/../rival'), spell('rival', 'acme%2f..%2frival'), spell('/v1', '/v1/.'), spell('rival', '%72ival'), spell('rival', '%2572ival'), spell('rival', 'RIVAL'), spell('rival', 'rival.'), spell('rival', 'rival%20'), spell('rival', 'rival%00'),
      spell('rival', 'rival%2e'), spell('/v1/', '//v1//'), spell('rival', 'rival;acme'), spell('domains', 'DOMAINS'), `${target}/`, `${target}?domain=acme`, `${target}#/v1/domains/acme`, spell('rival', 'acme%0d%0a'), spell('rival', 'acme,rival'), spell('rival', '_'), spell('rival', '*'), spell('rival', '..'), spell('rival', '%2e%2e/rival'),
      `/v1/domains/acme/projects/shop/environments/staging/../../../../rival/projects/vault/environments/hidden/networks/${vault.network}`, `/v1/domains/acme/projects/shop%2f..%2f..%2f..%2frival%2fprojects%2fvault/environments/hidden/networks/${vault.network}`,
      `http://elsewhere${target}`, `/v1/intents/rival/vault/hidden/network/delete`, `/v1/intents/acme/shop/staging/network.delete.spymaster/x`, `/v1/intents/rival%2evault/vault/hidden/network/delete`, `/v1/outcomes/rival/vault/${vault.intent}`, `/v1/outcomes/acme/shop.x/${vault.intent}`, `/v1/outcomes/*/*/${vault.intent}`, '/v1/outcomes/acme/shop/%3E',
      `/v1/dead-letters/rival/vault/${vault.dead}`, `/v1/dead-letters/_/_/${vault.dead}`, '/v1/dead-letters/acme/shop/*', '/v1/dead-letters/acme/*/%3E',
    ];
    const overrides = [{}, { 'x-http-method-override': 'DELETE' }, { 'x-method-override': 'PUT' }, { 'x-http-method': 'DELETE' }, { 'x-original-url': target }, { 'x-rewrite-url': target }, { 'x-forwarded-prefix': '/v1/domains/rival' }];
    let asked = 0;
    const wrong: string[] = [];
    for (const who of [land.person('acme/admin'), land.person('acme/shop-admin'), land.person('platform-node-n1')]) {
      const ask = asker(land.live, who);
      await Promise.all(spellings.map(async (path) => {
        for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'POST', 'OPTIONS', 'PATCH', 'TRACE', 'PROPFIND']) {
          for (const headers of method === 'GET' || method === 'POST' ? overrides : [{}]) {
            const body = method === 'PUT' ? JSON.stringify(kinds.network.example) : method === 'POST' ? JSON.stringify({ name: vault.network }) : undefined;
            const answer = await ask(method, path.replace(/ /g, '%20'), { headers, body }).catch((error: NodeJS.ErrnoException) => ({ status: 0, headers: {}, text: error.code ?? '', json: () => ({}) as never }));
            asked++;
            // `_` asks of everything within reach, and gets that.
            const narrowed = ['GET', 'HEAD'].includes(method) && path.includes('domains/_/') && answer.status === 404;
            if (!narrowed && ![0, 400, 401, 403, 404, 405, 422].includes(answer.status)) wrong.push(`${who.path} ${method} ${path} ${JSON.stringify(headers)}: ${answer.status} ${answer.text.slice(0, 200)}`);
            if (leaked(answer, `${path} ${body ?? ''} ${JSON.stringify(headers)}`).length > 0) wrong.push(`${who.path} ${method} ${path}: ${answer.text}`);
          }
        }
      }));
    }
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(await documents()).toEqual(before);
    console.log(`door: ${asked} requests by odd methods, overrides and spellings, none let through`);
  }, 30_000);

  it("an id that another tenant has used is one's own nevertheless, and headers make nobody another", async () => {
    const admin = asker(land.live, land.person('acme/admin'));
    const forged = { 'idempotency-key': vault.intent, traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, 'osier-credential': 'spymaster', 'osier-intent-id': 'x', 'ce-id': 'y', 'ce-source': 'osier/topology', 'nats-msg-id': 'z', 'x-forwarded-user': 'platform-root', 'osier-retry-of': vault.dead };
    const path = `${inside(shop)}/networks/collides`;
    const answer = await admin('PUT', path, { body: JSON.stringify({ subnets: ['10.77.0.0/24'] }), headers: forged });
    expect(answer.json()).toMatchObject({ result: 'accepted', intentId: vault.intent, credential: 'admin' });
    expect(leaked(answer, vault.intent)).toEqual([]);
    const wish = await eventually(() => land.live.bus.last('INTENTS', 'osier.intent.acme.shop.staging.network.apply.admin'));
    expect(Object.keys(wish.headers).filter((name) => /^(osier|nats|x)-/i.test(name))).toEqual([]);
    expect(wish.headers).toMatchObject({ 'ce-id': vault.intent, 'ce-source': 'osier/api' });
    expect((await land.live.root('GET', `/v1/outcomes/rival/vault/${vault.intent}`)).json()).toMatchObject({ result: 'accepted', credential: 'platform-root' });
    expect((await admin('DELETE', path)).status).toBe(200);
  });
});
