import { trace } from '@opentelemetry/api';
import { ActiveContext } from './context.ts';

export interface Tracing {
  /** Sends what is still in hand, for at most a second: a collector that is away must not hold up a stop. */
  shutdown(): Promise<void>;
}

const off: Tracing = { shutdown: async () => {} };

/**
 * Starts tracing if OTEL_EXPORTER_OTLP_ENDPOINT says where to (OTLP over HTTP; the other OTEL_* variables of the exporter and of
 * the batching hold too), and loads the SDK only then: it would be half of a service's start.
 */
export async function startTracing(service: string, environment: Readonly<Record<string, string | undefined>> = process.env): Promise<Tracing> {
  ActiveContext.install();
  if (!environment['OTEL_EXPORTER_OTLP_ENDPOINT'] && !environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) return off;
  if (environment['OTEL_SDK_DISABLED'] === 'true') return off;
  const [{ BatchSpanProcessor, TracerProvider }, { OTLPTraceExporter }, { defaultResource, resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/sdk-trace'), import('@opentelemetry/exporter-trace-otlp-http'), import('@opentelemetry/resources'),
  ]);
  const provider = new TracerProvider({
    resource: defaultResource().merge(resourceFromAttributes({ 'service.name': `osier-${service}`, 'service.namespace': 'osier', 'process.pid': process.pid })),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), scheduledDelayMillis: 500 })],
  });
  trace.setGlobalTracerProvider(provider);
  const second = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1000).unref());
  return { shutdown: () => Promise.race([provider.shutdown().catch(() => undefined), second()]) };
}
