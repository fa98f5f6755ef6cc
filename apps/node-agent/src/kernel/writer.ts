import { type Kernel, KernelError } from '@osier/dataplane/kernel';
import { mapped16 } from '@osier/domain/net/ipv4';
import type { Plan, Step } from '@osier/domain/reconcile/plan';
import { type Rows, type TableName, tableNames, type Tables } from '@osier/domain/reconcile/tables';
import { toRecord } from './records.ts';

export const fits = (kernel: Kernel, rows: Plan['peak']): boolean => tableNames.every((name) => rows[name] <= kernel[name].capacity);
export const sizes = (tables: Tables): Plan['peak'] => Object.fromEntries(tableNames.map((name) => [name, tables[name].size])) as Plan['peak'];

/** Throws `table-full` before anything is written if the old and the new world do not fit together. */
export function checkFits(kernel: Kernel, peak: Plan['peak']): void {
  for (const name of tableNames) {
    const { capacity } = kernel[name];
    if (peak[name] <= capacity) continue;
    throw new KernelError('table-full', `the table holds ${capacity} entries and the change needs ${peak[name]}`, name, 'Reduce the rules or endpoints of this node, or give the table more room.');
  }
}

/** Carries out a plan and returns the epoch that is then in force. Throws KernelError; what was done until then can be planned on from. */
export function carryOut(kernel: Kernel, steps: readonly Step[], revision: number): number {
  for (const step of steps) {
    if (step.do === 'flip') kernel.flip(BigInt(revision));
    else if (step.do === 'forget') for (const { rd, address } of step.addresses) kernel.forget(rd, mapped16(address));
    else if (step.do === 'put') put(kernel, step.table, step.rows);
    else remove(kernel, step.table, step.rows);
  }
  return kernel.config().epoch;
}

function put<T extends TableName>(kernel: Kernel, name: T, rows: readonly Rows[T][]): void {
  const target = kernel[name] as { put(entries: readonly unknown[]): void };
  target.put(rows.map((row) => toRecord[name](row)));
}

function remove<T extends TableName>(kernel: Kernel, name: T, rows: readonly Rows[T][]): void {
  const target = kernel[name] as { remove(keys: readonly unknown[]): void };
  target.remove(rows.map((row) => toRecord[name](row)[0]));
}

/** How full each table is. */
export const fill = (kernel: Kernel): { table: string; entries: number; capacity: number }[] =>
  tableNames.map((name) => ({ table: name, entries: kernel[name].list().length, capacity: kernel[name].capacity }));

