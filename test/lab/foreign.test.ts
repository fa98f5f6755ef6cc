// A stranger's program, written from docs/reference/asyncapi.yaml alone: it knows NATS, YAML and JSON Schema, and no line of ours.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { connect, credsAuthenticator, headers, type NatsConnection } from '@nats-io/transport-node';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { parse } from 'yaml';
import { labDown } from '@osier/lab/down';
import type { Lab } from '@osier/lab/lab';
import { labUp } from '@osier/lab/up';

interface Message { payload: { $ref: string }; headers: { $ref: string }; examples: { headers: Record<string, string>; payload: unknown }[] }
interface Document { channels: Record<string, { address: string; messages: Record<string, { $ref: string }> }>; components: { messages: Record<string, Message>; schemas: object } }
interface Outcome { intentId: string; result: 'accepted' | 'refused'; revision: number; problem: { code: string; path: string; reason: string; fix: string } }

const document = parse(readFileSync(resolve(import.meta.dirname, '../../docs/reference/asyncapi.yaml'), 'utf8')) as Document;
const ajv = new Ajv2020({ strict: false });
(formats as unknown as (a: Ajv2020) => void)(ajv);
const conforms = (reference: string, value: unknown): unknown => {
  const validate = ajv.getSchema(`bus${reference}`) ?? ajv.compile({ $ref: `bus${reference}` });
  return validate(value) === true ? [] : validate.errors;
};
ajv.addSchema({ $id: 'bus', components: document.components });

const name = 'foreign';
const credential = { domain: 'acme', id: 'operator' };
let lab: Lab;
let nats: NatsConnection;

/** Fills the address of a channel as the document says, and returns its message's description. */
function channel(id: string, parameters: Record<string, string>): { address: string; message: Message } {
  const found = document.channels[id];
  const reference = Object.values(found?.messages ?? {})[0]?.$ref.split('/').at(-1) ?? '';
  const address = (found?.address ?? '').replace(/\{(\w+)\}/g, (_all, parameter: string) => parameters[parameter] ?? `no ${parameter}`);
  return { address, message: document.components.messages[reference] as Message };
}

async function wish(id: string, where: Record<string, string>, body: unknown): Promise<{ stream: string; outcome: Outcome }> {
  const { address, message } = channel(id, { ...where, credential: credential.id });
  const intentId = randomUUID();
  const own = headers();
  for (const [key, value] of Object.entries({ ...message.examples[0]?.headers, 'ce-id': intentId })) own.set(key, value);
  const outcomes = nats.subscribe(channel('Outcome', { domain: credential.domain, project: where.project ?? '_', intentId }).address, { max: 1, timeout: 10_000 });
  const stored = await jetstream(nats).publish(address, typeof body === 'string' ? body : JSON.stringify(body), { headers: own });
  for await (const answer of outcomes) {
    const outcome = answer.json<Outcome>();
    const schema = Object.values(document.channels.Outcome?.messages ?? {})[0]?.$ref.split('/').at(-1) ?? '';
    expect(conforms(document.components.messages[schema]?.payload.$ref ?? '', outcome)).toEqual([]);
    expect(outcome.intentId).toBe(intentId);
    return { stream: stored.stream, outcome };
  }
  throw new Error('no outcome');
}

beforeAll(async () => {
  lab = await labUp({ name, nodes: 1, domains: [credential.domain], project: 'shop' });
  // Any client of NATS understands the file.
  const creds = readFileSync(lab.paths.creds(`domain-${credential.domain}`));
  nats = await connect({ servers: `127.0.0.1:${lab.record.ports.nats}`, authenticator: credsAuthenticator(creds) });
}, 120_000);
afterAll(async () => {
  await nats?.close();
  await labDown(name);
}, 60_000);

describe('a JetStream client that follows the published document', () => {
  const scope = { domain: credential.domain, project: 'shop', environment: 'staging' };

  it('makes a project, an environment and a network by the document\'s own examples, and reads each outcome', async () => {
    for (const [id, body] of [
      ['ProjectApply', { name: 'shop', spec: {} }],
      ['EnvironmentApply', { name: 'staging', spec: {} }],
      ['NetworkApply', channel('NetworkApply', scope).message.examples[0]?.payload],
    ] as const) {
      const { message } = channel(id, scope);
      expect(conforms(message.payload.$ref, body)).toEqual([]);
      const { project, ...domainOnly } = { domain: scope.domain, project: scope.project };
      const { stream, outcome } = await wish(id, id === 'ProjectApply' ? domainOnly : id === 'EnvironmentApply' ? { ...domainOnly, project } : scope, body);
      expect({ stream, result: outcome.result }).toEqual({ stream: 'INTENTS', result: 'accepted' });
      expect(outcome.revision).toBeGreaterThan(0);
    }
  }, 60_000);

  it.each([
    ['a field that nobody knows', 'NetworkApply', { name: 'two', spec: { subnets: ['10.9.0.0/24'], colour: 'red' } }, 'unknown-field', 'spec.colour'],
    ['a wrong type', 'NetworkApply', { name: 'two', spec: { subnets: 7 } }, 'wrong-type', 'spec.subnets'],
    ['an overlapping subnet', 'NetworkApply', { name: 'two', spec: { subnets: ['10.0.0.128/25'] } }, 'overlapping-subnet', 'spec.subnets[0]'],
    ['a name of 10,000 characters', 'NetworkApply', { name: 'n'.repeat(10_000), spec: { subnets: ['10.9.0.0/24'] } }, 'too-long', 'name'],
    ['no JSON at all', 'NetworkApply', 'subnets: 10.9.0.0/24', 'not-json', ''],
  ])('is refused %s, with the field, the reason and the fix', async (_what, id, body, code, path) => {
    const { outcome } = await wish(id, scope, body);
    expect(outcome).toMatchObject({ result: 'refused', problem: { code, path } });
    expect(outcome.problem.reason).toMatch(/\.$/);
    expect(outcome.problem.fix).toMatch(/^[A-Z].*\.$/);
  }, 20_000);

  it('is refused a network in a project that does not exist', async () => {
    const { outcome } = await wish('NetworkApply', { ...scope, project: 'nothing' }, { name: 'main', spec: { subnets: ['10.9.0.0/24'] } });
    expect(outcome).toMatchObject({ result: 'refused', problem: { code: expect.stringMatching(/^unknown-(project|environment)$/) } });
  }, 20_000);

  it('gets no acknowledgement for a kind that the document does not have', async () => {
    await expect(jetstream(nats).publish(`osier.intent.acme.shop.staging.unicorn.apply.${credential.id}`, '{}', { timeout: 2_000 })).rejects.toThrow();
  }, 20_000);
});
