import { type Attributes, trace } from '@opentelemetry/api';
import { attributes, spans } from '@osier/telemetry/names';
import { contextFrom } from '@osier/telemetry/trace';

type Phase = 'compile' | 'kernelWrite' | 'readBack';

/** Times the phases of one enforcement, and afterwards tells them in the trace of every change that it put into force. */
export interface Timings {
  run<T>(phase: Phase, work: () => T): T;
  /** One span a phase, in each of these traces. */
  tell(traceparents: readonly string[], facts: { node: string; revision: number }): void;
}

export function startTimings(now: () => number): Timings {
  const phases: { phase: Phase; from: number; to: number; failure?: string }[] = [];
  return {
    run(phase, work) {
      const from = now();
      try {
        const result = work();
        phases.push({ phase, from, to: now() });
        return result;
      } catch (error) {
        phases.push({ phase, from, to: now(), failure: error instanceof Error ? error.message : String(error) });
        throw error;
      }
    },
    tell(traceparents, facts) {
      const tracer = trace.getTracer('osier');
      const common: Attributes = { [attributes.node]: facts.node, [attributes.revision]: facts.revision };
      for (const traceparent of traceparents) {
        const parent = contextFrom(traceparent);
        for (const { phase, from, to, failure } of phases) {
          const span = tracer.startSpan(spans[phase], { startTime: from, attributes: common }, parent);
          if (failure !== undefined) span.setStatus({ code: 2, message: failure });
          span.end(to);
        }
      }
    },
  };
}
