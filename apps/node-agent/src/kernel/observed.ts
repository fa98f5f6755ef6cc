import type { Touched } from '@osier/domain/reconcile/attest';
import type { LocalEndpoint } from '@osier/domain/reconcile/program';
import type { Tables } from '@osier/domain/reconcile/tables';

/** The kernel as the witness sees it. */
export interface Observed {
  readonly tables: Tables;
  /** What of the tables is other than at the last look; undefined: who looked cannot say. */
  readonly touched?: Touched;
  /** What is wrong with devices and attachments, a line each. */
  readonly faults: readonly string[];
}

/** Another pair of eyes than the writer's. Throws where it cannot see: never half a picture. */
export interface Witness {
  look(): Observed;
  /** The tables alone, for when no device is other than at the last `look`: as whole, but without faults. */
  lookAtTables?(): Observed;
  /** Whether a device, or what is attached to one, may be other than at the last `look`; who cannot say looks. */
  devicesChanged?(): boolean;
  /** What is wrong on the workload's own side of an endpoint, a line each. */
  inside(endpoint: LocalEndpoint): readonly string[];
  /** Tracked connections of an address. */
  connections(rd: number, address: string): number;
}
