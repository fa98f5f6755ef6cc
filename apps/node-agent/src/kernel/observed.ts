import type { Tables } from '@osier/domain/reconcile/tables';

/** The kernel as the witness sees it. */
export interface Observed {
  readonly tables: Tables;
  /** What is wrong with devices and attachments, a line each. */
  readonly faults: readonly string[];
}
export type Observe = () => Observed;
