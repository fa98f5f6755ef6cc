import { limits } from '@osier/contracts/limits';
import type { Kernel } from '@osier/dataplane/kernel';
import type { Pending } from '@osier/domain/reconcile/program';
import type { Log } from '@osier/telemetry/log';
import type { Reports } from './bus/reports.ts';
import { fill } from './kernel/writer.ts';

/**
 * What goes on by the clock, whether or not anything changes: idle flows end, the kernel is compared with what it should be and
 * repaired, counters are told. Milliseconds.
 */
const defaults = { inspect: 3_000, /** What is silent is found by the next run: twice would be in time. */ collect: 0.4 * limits.endToldMs, report: 10_000 };
/** Part of a table's room from which its filling is told. */
const fullFrom = 0.8;

export interface UpkeepOptions {
  readonly kernel: Kernel;
  readonly reports: Reports;
  readonly log: Log;
  readonly every: { readonly inspect?: number; readonly collect?: number; readonly report?: number };
  /** Differences between the kernel and what it should be. */
  readonly inspect: () => readonly string[];
  /** Brings it back; what is left undone. */
  readonly repair: () => Pending | undefined;
}

export function startUpkeep(o: UpkeepOptions): { stop(): void } {
  const { kernel, reports } = o;
  let dropped = totals(kernel);
  const full = new Set<string>();

  const inspect = (): void => {
    const differences = o.inspect();
    if (differences.length === 0) return;
    reports.observe('drift', 'warning', `The kernel is not as it should be: ${differences[0] ?? ''}`, { differences: differences.slice(0, 20), count: differences.length });
    const left = o.repair();
    if (left === undefined) reports.observe('repair', 'info', 'The kernel is again as it should be.', { count: differences.length });
  };
  const report = (): void => {
    const now = totals(kernel);
    const grown = Object.entries(now).filter(([reason, packets]) => packets > (dropped[reason] ?? 0n)).map(([reason, packets]) => [reason, Number(packets - (dropped[reason] ?? 0n))]);
    if (grown.length > 0) reports.observe('drops', 'info', 'Packets were dropped.', Object.fromEntries(grown) as Record<string, unknown>);
    dropped = now;
    for (const { table, entries, capacity } of fill(kernel)) {
      const over = entries >= capacity * fullFrom;
      if (over && !full.has(table)) reports.observe('capacity', 'warning', `Table ${table} is ${Math.round((100 * entries) / capacity)} % full.`, { table, entries, capacity });
      if (over) full.add(table);
      else full.delete(table);
    }
  };
  const guarded = (work: () => void) => (): void => {
    try {
      work();
    } catch (error) {
      reports.observe('health', 'error', `Upkeep failed: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  /** A look at large tables takes long: it gets a twentieth of the time at the most. */
  const inspectSoon = (took: number): NodeJS.Timeout => setTimeout(() => {
    const from = performance.now();
    guarded(inspect)();
    inspecting = inspectSoon(performance.now() - from);
  }, Math.max(o.every.inspect ?? defaults.inspect, 20 * took));
  let inspecting = inspectSoon(0);
  const timers = [
    setInterval(guarded(() => void kernel.collect()), o.every.collect ?? defaults.collect),
    setInterval(guarded(report), o.every.report ?? defaults.report),
  ];
  return {
    stop() {
      clearTimeout(inspecting);
      timers.forEach((timer) => clearInterval(timer));
    },
  };
}

const totals = (kernel: Kernel): Record<string, bigint> => Object.fromEntries(Object.entries(kernel.drops()).map(([reason, count]) => [reason, count.packets]));
