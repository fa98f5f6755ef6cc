import type { Bus } from '@osier/bus/bus';
import { headers } from '@osier/contracts/envelope';
import { limits } from '@osier/contracts/limits';
import { flowSubject } from '@osier/contracts/subjects';
import { dropReasons, type Flow, type FlowBatch } from '@osier/contracts/telemetry';
import type { FlowEvent, Kernel } from '@osier/dataplane/kernel';
import { RecordFlag } from '@osier/dataplane/records';
import type { Log } from '@osier/telemetry/log';
import { createPublisher, type Outgoing } from '../bus/publisher.ts';
import type { Reports } from '../bus/reports.ts';
import { bootTimeOf } from '../boot-time.ts';
import type { Enforced } from '../enforce.ts';
import { addressOf, type LearningDirectory, resolve } from './resolve.ts';

/**
 *   ring buffer ─► raw (until the first world is known) ─► resolve ─► batches by project ─► FLOWS
 *        lost()        full: lost++                  nobody's: strangers      full: lost++
 *
 * A record of a routing domain that no environment here has (a forged VNI) is nobody's: no tenant is told of it, the operator is.
 */
const flushEvery = 100;
const rawKept = 10_000;
const batchesKept = 40;
const bootTimeEvery = 60_000;
const strangersEvery = 10_000;

export interface Flows {
  /** Call it after each enforcement: from now on these names stand for these numbers. */
  learn(enforced: Enforced): void;
  stop(): Promise<void>;
}

export function startFlows(o: { kernel: Kernel; bus: Bus; node: string; log: Log; now: () => number; reports: Pick<Reports, 'observe'>; directory: LearningDirectory; reportEvery?: number | undefined }): Flows {
  const { kernel, node, directory } = o;
  let lost = 0;
  let strangers: { records: number; last: FlowEvent } | undefined;
  let known = false;
  let raw: FlowEvent[] = [];
  let sent = 0;
  const session = o.now();
  const byProject = new Map<string, Flow[]>();
  let bootTime = bootTimeOf(o.now());
  const publisher = createPublisher({ bus: o.bus, log: o.log, most: batchesKept, dropped: (message: Outgoing) => void (lost += (message.body as FlowBatch).flows.length) });

  const take = (event: FlowEvent): void => {
    const resolved = resolve(event, directory, bootTime);
    if (resolved === undefined) {
      strangers = { records: (strangers?.records ?? 0) + 1, last: event };
      return;
    }
    const project = resolved.environment.split('/').slice(0, 2).join('.');
    const flows = byProject.get(project);
    if (flows) flows.push(resolved.flow);
    else byProject.set(project, [resolved.flow]);
  };
  const flush = (): void => {
    if (known && raw.length > 0) {
      const waiting = raw;
      raw = [];
      waiting.forEach(take);
    }
    for (const [project, flows] of byProject) {
      const [domain = '', name = ''] = project.split('.');
      for (let from = 0; from < flows.length; from += limits.flowsPerBatch) {
        const body: FlowBatch = { node, lost: lost + Number(kernel.lost()), flows: flows.slice(from, from + limits.flowsPerBatch) };
        publisher.send({ subject: flowSubject(domain, name, node), body, headers: { [headers.messageId]: `flows-${node}-${session}-${++sent}` } });
      }
    }
    byProject.clear();
  };
  const tellStrangers = (): void => {
    if (strangers === undefined) return;
    const { records, last } = strangers;
    strangers = undefined;
    const detail = { records, vni: last.rd, source: addressOf(last.source), destination: addressOf(last.destination), reason: dropReasons[last.reason] ?? 'internal' };
    o.reports.observe('drops', 'warning', `${records} flow records are about routing domains (VNI ${last.rd}) that no environment of this node has; no tenant is told of them.`, detail);
  };
  kernel.configure({ recordFlags: RecordFlag.start | RecordFlag.end | RecordFlag.denied });
  const stopReading = kernel.flows((events) => {
    const room = Math.max(0, rawKept - raw.length);
    for (const event of events.slice(0, room)) raw.push(event);
    lost += Math.max(0, events.length - room);
  });
  const timers = [setInterval(flush, flushEvery), setInterval(tellStrangers, o.reportEvery ?? strangersEvery), setInterval(() => (bootTime = bootTimeOf(o.now())), bootTimeEvery)];
  return {
    learn(enforced) {
      // What was seen in the former world is told in its words.
      if (known) flush();
      directory.learn(enforced);
      known = true;
    },
    async stop() {
      stopReading();
      timers.forEach((timer) => clearInterval(timer));
      flush();
      tellStrangers();
      await publisher.stop();
    },
  };
}
