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
  return pino(settings, options.destination ?? gathered(pino.destination({ dest: 1, sync: true })));
}

/** Writes what is said in one turn of the event loop at once, and at the end of the process whatever is left: a line for each intent costs more to write than to make. */
export function gathered(destination: { write(lines: string): unknown }): { write(line: string): void } {
  let lines = '';
  const flush = (): void => {
    const said = lines;
    lines = '';
    if (said !== '') destination.write(said);
  };
  process.on('exit', flush);
  return {
    write: (line) => {
      if (lines === '') setImmediate(flush);
      lines += line;
    },
  };
}
