import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '@osier/bus/memory';
import { silent } from '@osier/telemetry/log';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { type RunningApi, startApi } from './app.ts';
import { readConfig } from './config.ts';
import { openapi } from './openapi.ts';
import { routes } from './routes.ts';
import { authenticator, readTokens } from './tokens.ts';

const token = 'a-token-of-enough-length';
interface Document {
  paths: Record<string, Record<string, { operationId: string; parameters?: { name: string; in: string }[]; requestBody?: { content: Record<string, { schema: { $ref?: string }; example?: unknown }> } }>>;
  components: { schemas: Record<string, object> };
}
const document = openapi() as unknown as Document;

describe('the OpenAPI document', () => {
  it('refers only to what is in it', () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name = '']) => name);
    expect(refs.length).toBeGreaterThan(50);
    expect(refs.filter((name) => !(name in document.components.schemas))).toEqual([]);
  });

  it('names every operation once, and every parameter of its path', () => {
    const operations = Object.entries(document.paths).flatMap(([path, methods]) => Object.values(methods).map((operation) => ({ path, ...operation })));
    expect(new Set(operations.map((o) => o.operationId)).size).toBe(routes.length);
    for (const { path, parameters = [] } of operations) {
      expect(parameters.filter((p) => p.in === 'path').map((p) => `{${p.name}}`).join()).toBe([...path.matchAll(/\{\w+\}/g)].join());
    }
  });

  it('gives examples that its own schemas accept, and schemas that refuse what is wrong', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const bodies = Object.values(document.paths).flatMap((methods) => Object.values(methods)).flatMap((o) => Object.values(o.requestBody?.content ?? {})).filter((c) => c.example !== undefined && c.schema.$ref !== undefined);
    expect(bodies.length).toBeGreaterThan(5);
    for (const { schema, example } of bodies) {
      const validate = ajv.compile(document.components.schemas[schema.$ref?.split('/').at(-1) ?? ''] ?? false);
      expect([validate(example), validate.errors]).toEqual([true, null]);
    }
    expect(ajv.compile(document.components.schemas['NetworkSpec'] ?? true)({ subnets: ['10.0.0.0'] })).toBe(false);
  });

  describe('and the door', () => {
    let api: RunningApi;
    beforeAll(async () => {
      api = await startApi({ bus: memoryBroker().connect('api'), authenticate: authenticator([{ token, credential: 'platform-anna' }]), log: silent, host: '127.0.0.1', port: 0 });
    });
    afterAll(() => api.stop());

    it.each(routes.map((route) => [route.method.toUpperCase(), route.path, route.open === true] as const))('agree about %s %s', async (method, path, open) => {
      const response = await fetch(api.url + path.replaceAll(/\{\w+\}/g, 'x'), { method, signal: AbortSignal.timeout(5000) });
      expect(response.status === 401).toBe(!open);
      expect(((await response.json()) as { problem?: { code: string } }).problem?.code).not.toBe('unknown-route');
    });
  });
});

describe('the configuration', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'osier-api-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const tokens = (content: string): string => {
    const file = join(folder, 'tokens.json');
    writeFileSync(file, content);
    return file;
  };

  it('names every variable that is missing or wrong', () => {
    expect(() => readConfig({ OSIER_NATS_URL: 'nats://127.0.0.1', OSIER_API_PORT: '99999' })).toThrow(/OSIER_CREDENTIALS_FILE: is not set[\s\S]*OSIER_TOKENS_FILE: is not set[\s\S]*OSIER_API_PORT: /);
  });

  it('takes tokens from a file', () => {
    const authenticate = readTokens(tokens(JSON.stringify({ tokens: [{ token, credential: 'platform-anna' }] })));
    expect([authenticate(`Bearer ${token}`), authenticate(`bearer ${token}`), authenticate('Bearer x'), authenticate(undefined)].map((who) => who?.path)).toEqual(['platform-anna', 'platform-anna', undefined, undefined]);
  });

  it.each([
    ['no file', undefined, /cannot read the tokens file/],
    ['not JSON', 'x', /cannot read the tokens file/],
    ["a service's credential", JSON.stringify({ tokens: [{ token, credential: 'osier-topology' }] }), /must not begin with "osier-"/],
    ['a credential that is no token of a subject', JSON.stringify({ tokens: [{ token, credential: 'a.b' }] }), /tokens\[0\]\.credential/],
    ['a short token', JSON.stringify({ tokens: [{ token: 'short', credential: 'platform-anna' }] }), /at least 16 characters/],
  ])('refuses %s, and never tells a token', (_what, content, text) => {
    const file = content === undefined ? join(folder, 'none') : tokens(content);
    expect(() => readTokens(file)).toThrow(text);
    try {
      readTokens(file);
    } catch (error) {
      expect((error as Error).message).not.toContain(token);
    }
  });
});
