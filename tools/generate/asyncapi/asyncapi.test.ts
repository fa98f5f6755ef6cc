import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromFile, Parser } from '@asyncapi/parser';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { catalogue } from '@osier/contracts/catalogue';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { root } from '../../root.ts';

const file = join(root, 'docs/reference/asyncapi.yaml');
const errors = (diagnostics: readonly { severity: number; message: string; path: readonly unknown[] }[]): string[] =>
  diagnostics.filter((d) => d.severity === 0).map((d) => `${d.path.join('.')}: ${d.message}`);

describe('the AsyncAPI document', () => {
  let parsed: Awaited<ReturnType<ReturnType<typeof fromFile>['parse']>>;
  beforeAll(async () => {
    parsed = await fromFile(new Parser(), file).parse();
  }, 60_000);

  it('is accepted by the official parser', () => {
    expect(errors(parsed.diagnostics)).toEqual([]);
    expect(parsed.document?.version()).toBe('3.0.0');
  });

  it('has a way to publish every intent of the catalogue', () => {
    const titles = new Set(parsed.document?.channels().all().map((channel) => channel.json('title' as never) as unknown as string));
    expect(catalogue.map((i) => `${i.noun}.${i.verb}`).filter((name) => !titles.has(name))).toEqual([]);
  });

  it('is refused by the official parser when it is not right', async () => {
    const document = parse(readFileSync(file, 'utf8')) as { channels: Record<string, { messages: unknown }> };
    document.channels['NetworkApply']!.messages = { NetworkApply: { $ref: '#/components/messages/None' } };
    expect(errors((await new Parser().parse(document as never)).diagnostics)).not.toEqual([]);
  }, 60_000);

  it('gives examples that its own schemas accept, and schemas that refuse a wrong one', () => {
    const document = parse(readFileSync(file, 'utf8')) as { components: { schemas: Record<string, object>; messages: Record<string, { payload: { $ref: string }; examples?: { payload: object }[] }> } };
    const ajv = new Ajv({ strict: false, validateFormats: false });
    const examples = Object.entries(document.components.messages).flatMap(([name, message]) => (message.examples ?? []).map((example) => ({ name, message, example })));
    expect(examples.length).toBeGreaterThan(catalogue.length - 1);
    for (const { message, example } of examples) {
      const validate = ajv.compile(document.components.schemas[message.payload.$ref.split('/').at(-1) ?? ''] ?? false);
      expect([validate(example.payload), validate.errors]).toEqual([true, null]);
    }
    const network = ajv.compile(document.components.schemas['NetworkApply'] ?? true);
    expect(network({ name: 'main', spec: { subnets: ['10.0.0.0/24'], gateway: 'x' } })).toBe(false);
  });
});
