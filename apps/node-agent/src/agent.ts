import { context } from '@opentelemetry/api';
import type { Bus } from '@osier/bus/bus';
import type { Receipt } from '@osier/contracts/telemetry';
import type { Kernel } from '@osier/dataplane/kernel';
import type { Pending } from '@osier/domain/reconcile/program';
import type { Log } from '@osier/telemetry/log';
import { contextFrom } from '@osier/telemetry/trace';
import { createReports } from './bus/reports.ts';
import { startSessions } from './bus/session.ts';
import { startConnections } from './connections/connections.ts';
import { createEnforcer, type Enforced, pendingOf } from './enforce.ts';
import { startFlows } from './flows/flows.ts';
import { createDirectory } from './flows/resolve.ts';
import { createDevices, type DeviceOptions } from './kernel/devices.ts';
import type { Witness } from './kernel/observed.ts';
import { startUpkeep } from './upkeep.ts';
import { startTimings } from './trace.ts';

export interface AgentOptions {
  readonly node: string;
  readonly bus: Bus;
  readonly kernel: Kernel;
  /** Reads the kernel back by another way than the writer's. */
  readonly witness: Witness;
  /** What this machine believes its tunnel endpoint to be; a node document that says otherwise is told. */
  readonly underlayAddress?: string | undefined;
  readonly devices: DeviceOptions;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly newId: () => string;
  /** Called once, with the first receipt that is about a complete world. */
  readonly onReady?: () => void;
  /** Milliseconds; tests shorten them. */
  readonly every?: { readonly retry?: number; readonly inspect?: number; readonly collect?: number; readonly report?: number };
}
export interface Agent {
  /** Stops speaking and listening. The kernel goes on as it is. */
  stop(): Promise<void>;
}

/**
 * The loop of one node. One run at a time; whatever happens meanwhile makes one more run:
 *
 *   documents, barriers ─► sessions ─┐
 *   a namespace that was missing ────┼─► run: enforce if there is something new ─► receipt
 *   drift, a failure to retry ───────┘
 */
export async function startAgent(o: AgentOptions): Promise<Agent> {
  const { kernel, log } = o;
  const devices = createDevices(kernel, o.devices);
  const enforcer = createEnforcer({ kernel, devices, witness: o.witness, node: o.node });
  const reports = createReports(o);
  const directory = createDirectory();
  const flows = startFlows({ kernel, bus: o.bus, node: o.node, log, now: o.now, reports, directory, reportEvery: o.every?.report });
  let last: Enforced | undefined;
  let failure: Pending | undefined;
  let done = { changes: -1, revision: 0, view: undefined as unknown };
  let readBackAt = 0;
  let thorough = true;
  let again = false;
  let stopped = false;
  let scheduled: NodeJS.Immediate | undefined;
  let ready = false;
  let underlay: string | undefined;

  const publish = (revision: number, incarnation: string, traces: readonly string[]): void => {
    const traceparent = traces.at(-1);
    reports.receipt(receiptOf({ node: o.node, revision, incarnation, readBackAt, last, failure, epoch: kernel.config().epoch, traceparent }));
    if (!ready && last !== undefined) {
      ready = true;
      o.onReady?.();
    }
  };
  /** Told once, not at every attempt. */
  const fail = (found: Pending | undefined): void => {
    if (found !== undefined && found.reason !== failure?.reason) {
      reports.observe(found.code === 'table-full' ? 'capacity' : 'health', 'error', `The kernel could not be brought up to date: ${found.reason}`, { code: found.code });
    }
    failure = found;
  };
  const enforceNow = (traces: readonly string[]): boolean => {
    const { view, revision } = sessions.knowledge;
    const timings = startTimings(o.now);
    try {
      const enforced = enforcer.enforce(view, revision, { thorough, timings });
      last = enforced;
      readBackAt = o.now();
      thorough = enforced.differences.length > 0;
      fail(thorough ? notAsWritten(o.node, enforced.differences) : undefined);
      flows.learn(enforced);
      const facts = { revision, epoch: enforced.epoch, steps: enforced.steps, pending: enforced.pending.length };
      if (enforced.steps > 0) context.with(contextFrom(traces.at(-1)), () => log.info(facts, 'the kernel has been brought up to date'));
      checkUnderlay(enforced.program.tunnelEndpoint);
    } catch (error) {
      fail(pendingOf(o.node, error));
      thorough = true;
    }
    timings.tell(traces, { node: o.node, revision });
    return failure === undefined;
  };
  const checkUnderlay = (said: string | undefined): void => {
    if (o.underlayAddress === undefined || said === undefined || said === underlay) return;
    underlay = said;
    if (said !== o.underlayAddress) reports.observe('health', 'warning', `The node's document says tunnel endpoint ${said}, and this machine has ${o.underlayAddress}: packets from here will be refused elsewhere.`, { said, has: o.underlayAddress });
  };
  const run = (): void => {
    scheduled = undefined;
    if (stopped || !sessions.knowledge.complete) return;
    const { view, changes, revision, incarnation, unreadable } = sessions.knowledge;
    const traces = sessions.takeTraces();
    const inForce = Math.max(done.revision, Number(kernel.revisions()[kernel.config().epoch & 1] ?? 0n));
    if (revision < inForce) {
      fail(olderWorld(o.node, revision, inForce));
      return publish(done.revision, incarnation, traces);
    }
    if (unreadable !== undefined) {
      fail(laterVersion(o.node, unreadable));
      return publish(done.revision, incarnation, traces);
    }
    const news = done.view !== view || done.changes !== changes || again || failure !== undefined;
    again = false;
    if (news && !enforceNow(traces)) return publish(done.revision, incarnation, traces);
    done = { changes, revision, view };
    publish(revision, incarnation, traces);
  };
  const schedule = (): void => {
    scheduled ??= setImmediate(run);
  };
  const sessions = await startSessions({ bus: o.bus, node: o.node, log, now: o.now, newId: o.newId, onAdvance: schedule,
    onSilence: () => reports.observe('health', 'warning', `No word from the state stream: the node goes on enforcing revision ${done.revision}.`, { revision: done.revision }),
  });
  const connections = await startConnections({ kernel, bus: o.bus, node: o.node, log, now: o.now, directory, ready: () => last !== undefined });

  reports.observe('health', 'info', kernel.restored ? 'The agent has started and taken over what its kernel does.' : 'The agent has started on a kernel that knew nothing.', { restored: kernel.restored });
  const retry = setInterval(() => {
    if (failure === undefined && !last?.pending.some((p) => p.kind === 'endpoint')) return;
    again = true;
    schedule();
  }, o.every?.retry ?? 1_000);
  const upkeep = startUpkeep({
    kernel, reports, log, every: o.every ?? {},
    inspect: () => {
      if (last === undefined || failure !== undefined) return [];
      const seen = enforcer.inspect(last);
      last = { ...last, ...seen };
      readBackAt = o.now();
      return seen.differences;
    },
    repair: () => {
      thorough = again = true;
      run();
      return failure;
    },
  });
  return {
    async stop() {
      stopped = true;
      clearInterval(retry);
      if (scheduled) clearImmediate(scheduled);
      upkeep.stop();
      await connections.stop();
      await sessions.stop();
      await flows.stop();
      await reports.stop();
    },
  };
}

/** Revisions never run backwards, also where streams were rebuilt: less than what the kernel has is a stream that was set back, or another installation's. */
const olderWorld = (node: string, revision: number, inForce: number): Pending => ({
  kind: 'node', id: node, path: node, code: 'older-world',
  reason: `The state stream ends at revision ${revision}, and this kernel enforces revision ${inForce}: it goes on enforcing that. If the installation was made anew on purpose, take the old one out of this node (--cleanup).`,
});

/** Without it the others are half a world: it may be the policy that denies. */
const laterVersion = (node: string, subject: string): Pending => ({
  kind: 'node', id: node, path: node, code: 'document-unknown',
  reason: `This agent cannot read ${subject}: a later version wrote it. The kernel goes on enforcing what it has. Upgrade the agent of this node.`,
});

const notAsWritten = (node: string, differences: readonly string[]): Pending => ({
  kind: 'node', id: node, path: node, code: 'read-back-differs', reason: `The kernel does not hold what was written: ${differences[0] ?? ''}${differences.length > 1 ? `, and ${differences.length - 1} more` : ''}.`,
});

function receiptOf(r: { node: string; revision: number; incarnation: string; readBackAt: number; last: Enforced | undefined; failure: Pending | undefined; epoch: number; traceparent: string | undefined }): Receipt {
  const { last } = r;
  return {
    node: r.node, incarnation: r.incarnation, revision: r.revision, epoch: r.epoch, digest: last?.attestation.digest ?? '',
    readBackAt: new Date(r.readBackAt).toISOString(),
    endpoints: (last?.program.endpoints ?? []).filter((e) => last?.ifindexes.has(e.id)).map((e) => ({ id: e.id, version: e.version })),
    pending: [...(r.failure ? [r.failure] : []), ...(last?.pending ?? [])],
    counts: last?.attestation.counts ?? { addresses: 0, identities: 0, policyEntries: 0, rules: 0 },
    ...(r.traceparent === undefined ? {} : { traceparent: r.traceparent }),
  };
}
