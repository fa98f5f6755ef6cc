// One change, one trace: from the request through the decision to each node's kernel, as an OpenTelemetry receiver sees it.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { deploy } from '@osier/lab/deploy';
import type { Lab } from '@osier/lab/lab';
import { labDown } from '@osier/lab/down';
import { place } from '@osier/lab/place';
import { labUp } from '@osier/lab/up';

interface Span { readonly traceId: string; readonly spanId: string; readonly parentSpanId?: string; readonly name: string; readonly service: string; readonly attributes: Record<string, unknown> }

interface Attribute { key: string; value: Record<string, unknown> }
interface Export { resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: (Omit<Span, 'attributes'> & { attributes?: Attribute[] })[] }[] }[] }
const flat = (list: Attribute[] = []): Record<string, unknown> => Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]));

/** A receiver of OTLP over HTTP with JSON (OpenTelemetry protocol 1.x, "OTLP/HTTP"); shares no code with the sender. */
function receiver(): { server: Server; spans: Span[] } {
  const spans: Span[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.url === '/v1/traces') {
        for (const { resource, scopeSpans } of (JSON.parse(Buffer.concat(chunks).toString()) as Export).resourceSpans) {
          const service = String(flat(resource.attributes)['service.name']);
          for (const span of scopeSpans.flatMap((scope) => scope.spans)) spans.push({ ...span, service, attributes: flat(span.attributes) });
        }
      }
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  return { server, spans };
}

const name = 'trace';
const { server, spans } = receiver();
let lab: Lab;

beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  lab = await labUp({ name, nodes: 2, domains: ['acme'], project: 'shop', env: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '200' } });
  const workloads = ['web', 'db'].map((app) => ({ name: app, tags: { app }, ports: [{ protocol: 'TCP' as const, port: 5432 }] }));
  await deploy(lab, [place({ lab: name, domain: 'acme', project: 'shop', environment: 'staging', turn: 0, nodes: ['node-1', 'node-2'], workloads, services: [] })], []);
}, 120_000);
afterAll(async () => {
  await labDown(name);
  server.close();
}, 60_000);

async function until<T>(found: () => T | undefined): Promise<T | undefined> {
  for (let tries = 0; tries < 100; tries++) {
    const value = found();
    if (value !== undefined) return value;
    await sleep(100);
  }
  return undefined;
}

describe('given a running lab that exports its traces', () => {
  it('when a policy is changed, then one trace leads from the request to the read-back of both kernels, and logs carry its id', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const file = JSON.parse(readFileSync(lab.paths.client, 'utf8')) as { server: string; token: string };
    const response = await fetch(`${file.server}/v1/domains/acme/projects/shop/environments/staging/policies/database`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${file.token}`, 'content-type': 'application/json', traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
      body: JSON.stringify({ appliesTo: { matchTags: { app: 'db' } }, ingress: [{ from: [{ endpoints: { matchTags: { app: 'web' } } }], ports: [{ protocol: 'TCP', port: 5432 }] }] }),
    });
    expect(response.status).toBe(200);
    const mine = (): Span[] => spans.filter((span) => span.traceId === traceId);
    const nodesOf = (phase: string): string[] => [...new Set(mine().filter((span) => span.name === phase).map((span) => String(span.attributes['osier.node'])))].sort();
    const named = (): string[] => mine().map((span) => `${span.service}: ${span.name}`);
    await until(() => (nodesOf('read back').length === 2 && named().includes('osier-policy: publish policy') ? true : undefined));

    const names = named();
    expect(names).toContain('osier-api: PUT policy');
    expect(names).toContain('osier-policy: intent policy.apply');
    expect(names).toContain('osier-policy: publish policy');
    for (const phase of ['compile', 'kernel write', 'read back']) expect([phase, nodesOf(phase)]).toEqual([phase, ['node-1', 'node-2']]);

    const ids = new Set(mine().map((span) => span.spanId));
    const orphans = mine().filter((span) => !ids.has(span.parentSpanId ?? '') && span.parentSpanId !== '00f067aa0ba902b7');
    expect(orphans).toEqual([]);

    const logs = await until(() => {
      const withId = readdirSync(lab.paths.logs).filter((log) => readFileSync(join(lab.paths.logs, log), 'utf8').includes(traceId));
      return withId.some((log) => log.startsWith('policy')) && withId.some((log) => log.startsWith('agent-')) ? withId : undefined;
    });
    expect(logs).toBeDefined();
  }, 60_000);
});
