import { type Attributes, type Context, context, isSpanContextValid, ROOT_CONTEXT, type Span, type SpanContext, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api';
import { ActiveContext } from './context.ts';

/** Trace context in message headers (W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header). */
const traceparentForm = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

export function parseTraceparent(text: string | undefined): SpanContext | undefined {
  const [, version, traceId, spanId, flags, rest] = traceparentForm.exec(text ?? '') ?? [];
  if (!traceId || !spanId || !flags || version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  const found = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
  return isSpanContextValid(found) ? found : undefined;
}
export const formatTraceparent = (span: SpanContext): string => `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`;

/** The context to go on in, from a message's `traceparent`; the root where there is none or it is not valid. */
export function contextFrom(traceparent: string | undefined): Context {
  const remote = parseTraceparent(traceparent);
  return remote ? trace.setSpanContext(ROOT_CONTEXT, remote) : ROOT_CONTEXT;
}

/** The `traceparent` to send with what is done now; undefined where nothing is traced. */
export function currentTraceparent(): string | undefined {
  const span = trace.getSpanContext(context.active());
  return span && isSpanContextValid(span) ? formatTraceparent(span) : undefined;
}
export const traceHeaders = (traceparent = currentTraceparent()): { traceparent?: string } => (traceparent === undefined ? {} : { traceparent });

const tracer = () => trace.getTracer('osier');

export interface SpanOptions {
  /** Of the message that caused the work; absent: a child of what is active. */
  readonly traceparent?: string | undefined;
  readonly kind?: keyof typeof SpanKind;
  readonly attributes?: Attributes;
}

/** Does `work` in a span of its own; what it throws is recorded, and thrown on. */
export async function inSpan<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T> {
  ActiveContext.install();
  const parent = options.traceparent === undefined ? context.active() : contextFrom(options.traceparent);
  const span = tracer().startSpan(name, { kind: SpanKind[options.kind ?? 'INTERNAL'], attributes: options.attributes ?? {} }, parent);
  try {
    return await context.with(trace.setSpan(parent, span), () => work(span));
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
    throw error;
  } finally {
    span.end();
  }
}
