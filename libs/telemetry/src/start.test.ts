import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startTracing } from './start.ts';
import { currentTraceparent, inSpan } from './trace.ts';

interface ExportedSpan { traceId: string; spanId: string; parentSpanId?: string; name: string; status?: { code?: number } }
interface Export { resourceSpans: { resource: { attributes: { key: string; value: { stringValue?: string } }[] }; scopeSpans: { spans: ExportedSpan[] }[] }[] }

const received: Export[] = [];
let collector: Server;
beforeAll(async () => {
  collector = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk))).on('end', () => {
      received.push(JSON.parse(body) as Export);
      response.end('{}');
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
});
afterAll(() => {
  delete process.env['OTEL_EXPORTER_OTLP_ENDPOINT'];
  collector.close();
});

describe('tracing', () => {
  it('exports spans by OTLP to where the environment says, as one connected trace, and is flushed by its shutdown', async () => {
    const tracing = await startTracing('tenant');
    let traceparent: string | undefined;
    await inSpan('intent network.apply', { traceparent: '' }, async () => {
      traceparent = currentTraceparent();
    });
    await inSpan('kernel write', { traceparent }, () => inSpan('read back', {}, async () => {}));
    await inSpan('failing', { traceparent }, async () => { throw new Error('no'); }).catch(() => undefined);
    await tracing.shutdown();

    const resource = received[0]?.resourceSpans[0]?.resource.attributes.find((a) => a.key === 'service.name');
    expect(resource?.value.stringValue).toBe('osier-tenant');
    const spans = received.flatMap((r) => r.resourceSpans.flatMap((s) => s.scopeSpans.flatMap((scope) => scope.spans)));
    const byName = new Map(spans.map((span) => [span.name, span]));
    const [intent, write, read, failing] = ['intent network.apply', 'kernel write', 'read back', 'failing'].map((name) => byName.get(name));
    expect(new Set([intent, write, read, failing].map((span) => span?.traceId)).size).toBe(1);
    expect([write?.parentSpanId, read?.parentSpanId]).toEqual([intent?.spanId, write?.spanId]);
    expect(failing?.status?.code).toBe(2);
  });

  it('is off without an endpoint', async () => {
    const tracing = await startTracing('tenant', {});
    await expect(tracing.shutdown()).resolves.toBeUndefined();
  });
});
