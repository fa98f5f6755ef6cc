import { context, isSpanContextValid, trace } from '@opentelemetry/api';
import pino from 'pino';

/** What code may say: an object with the facts, then a sentence. pino's own shape, so that a test can pass a plain object. */
export interface Log {
  debug(facts: object, sentence: string): void;
  info(facts: object, sentence: string): void;
  warn(facts: object, sentence: string): void;
  error(facts: object, sentence: string): void;
}

export const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** The ids of the trace that is being worked on, under the names that OpenTelemetry gives them in logs. */
export function traceIds(): { trace_id?: string; span_id?: string } {
  const span = trace.getSpanContext(context.active());
  return span && isSpanContextValid(span) ? { trace_id: span.traceId, span_id: span.spanId } : {};
}

/** One JSON object a line on stdout. `level`: debug, info, warn or error. */
export function createLog(options: { service: string; level?: string; destination?: { write(line: string): void } }): Log {
  const settings = {
    level: options.level ?? 'info',
    base: { service: options.service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    mixin: traceIds,
  };
  return options.destination ? pino(settings, options.destination) : pino(settings, pino.destination({ dest: 1, sync: true }));
}
