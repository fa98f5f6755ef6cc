import type { Bus } from '@osier/bus/bus';
import { headers } from '@osier/contracts/envelope';
import { observationSubject, receiptSubject } from '@osier/contracts/subjects';
import type { Observation, Receipt } from '@osier/contracts/telemetry';
import type { Log } from '@osier/telemetry/log';
import { createPublisher } from './publisher.ts';

/** What the agent says of itself: receipts, of which only the latest counts, and observations, of which some may be lost. */
export interface Reports {
  receipt(receipt: Receipt): void;
  observe(topic: Observation['topic'], severity: Observation['severity'], message: string, detail?: Record<string, unknown>): void;
  stop(): Promise<void>;
}

const observationsKept = 200;

export function createReports(o: { bus: Bus; node: string; log: Log; now: () => number }): Reports {
  const receipts = createPublisher({ bus: o.bus, log: o.log, most: 1 });
  const observations = createPublisher({ bus: o.bus, log: o.log, most: observationsKept });
  return {
    receipt(body) {
      receipts.send({ subject: receiptSubject(o.node), body, ...(body.traceparent === undefined ? {} : { headers: { [headers.traceparent]: body.traceparent } }) });
    },
    observe(topic, severity, message, detail) {
      const body: Observation = { node: o.node, at: new Date(o.now()).toISOString(), topic, severity, message, ...(detail === undefined ? {} : { detail }) };
      o.log[severity === 'warning' ? 'warn' : severity]({ topic, ...detail }, message);
      observations.send({ subject: observationSubject(o.node, topic), body });
    },
    stop: async () => void (await Promise.all([receipts.stop(), observations.stop()])),
  };
}
