import { readFileSync } from 'node:fs';
import type { Bus } from '@osier/bus/bus';
import { headers } from '@osier/contracts/envelope';
import { limits } from '@osier/contracts/limits';
import { flowSubject } from '@osier/contracts/subjects';
import type { Flow, FlowBatch } from '@osier/contracts/telemetry';
import type { FlowEvent, Kernel } from '@osier/dataplane/kernel';
import { RecordFlag } from '@osier/dataplane/records';
import type { Log } from '@osier/telemetry/log';
import { createPublisher, type Outgoing } from '../bus/publisher.ts';
import type { Enforced } from '../enforce.ts';
import { createDirectory, resolve } from './resolve.ts';

/**
 *   ring buffer ─► raw (until the first world is known) ─► resolve ─► batches by project ─► FLOWS
 *        lost()        full: lost++                    unknown: lost++      full: lost++
 */
const flushEvery = 100;
const rawKept = 10_000;
const batchesKept = 40;
const bootTimeEvery = 60_000;

export interface Flows {
  /** Call it after each enforcement: from now on these names stand for these numbers. */
  learn(enforced: Enforced): void;
  stop(): Promise<void>;
}

export function startFlows(o: { kernel: Kernel; bus: Bus; node: string; log: Log; now: () => number }): Flows {
  const { kernel, node } = o;
  const directory = createDirectory();
  let lost = 0;
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
      lost++;
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
  kernel.configure({ recordFlags: RecordFlag.start | RecordFlag.end | RecordFlag.denied });
  const stopReading = kernel.flows((events) => {
    const room = Math.max(0, rawKept - raw.length);
    for (const event of events.slice(0, room)) raw.push(event);
    lost += Math.max(0, events.length - room);
  });
  const timers = [setInterval(flush, flushEvery), setInterval(() => (bootTime = bootTimeOf(o.now())), bootTimeEvery)];
  return {
    learn(enforced) {
      // What was seen in the former world is told in its words.
      if (known) flush();
      directory.learn(enforced.program, enforced.rules);
      known = true;
    },
    async stop() {
      stopReading();
      timers.forEach((timer) => clearInterval(timer));
      flush();
      await publisher.stop();
    },
  };
}

/** Flow records carry the boot clock (CLOCK_BOOTTIME), whose zero is this many milliseconds after the epoch. */
const bootTimeOf = (now: number): number => now - Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
