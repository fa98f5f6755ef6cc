import type { Layer, Program } from '../policy/compile.ts';
import type { Tags } from '@osier/contracts/names';

/**
 * What one node's kernel should do, in terms of meanings: no number of this or any node's kernel occurs in it. Two nodes, or one
 * node before and after a restart, that should do the same have equal programs.
 */
export interface NodeProgram {
  /** This node's own tunnel endpoint; undefined until its node document is known. */
  readonly tunnelEndpoint: string | undefined;
  readonly endpoints: readonly LocalEndpoint[];
  /** Everything reachable from here, the local endpoints among them, keyed by `placeKey`. */
  readonly places: ReadonlyMap<string, Place>;
  /** By digest: what endpoints here run, and what they show as shadows. */
  readonly programs: ReadonlyMap<string, Program>;
  /** Of the slots of these programs, by slot. */
  readonly layers: ReadonlyMap<string, Layer>;
  readonly pending: readonly Pending[];
}

/** What of a program is another than before: keys of `places`, ids of local endpoints, digests of `programs`, slots of `layers`. */
export interface Changed {
  readonly places: ReadonlySet<string>;
  readonly endpoints: ReadonlySet<string>;
  readonly programs: ReadonlySet<string>;
  readonly layers: ReadonlySet<string>;
  /** Who had an address and has it no more. */
  readonly left: readonly Place[];
}
export const nothingChanged: Changed = { places: new Set(), endpoints: new Set(), programs: new Set(), layers: new Set(), left: [] };

/** Who an address is, for flow records. */
export interface Owner { readonly id: string; readonly path: string; readonly environment: string; readonly networkName: string; readonly tags: Tags }

export interface Place extends Owner {
  readonly rd: number;
  readonly address: string;
  readonly network: number;
  /** The node's tunnel endpoint; undefined: here. */
  readonly tunnel: string | undefined;
  readonly mac: string;
  /** Digest of its identity. */
  readonly identity: string;
}
export const placeKey = (p: { rd: number; address: string }): string => `${p.rd}|${p.address}`;

export interface LocalEndpoint extends Place {
  readonly version: number;
  readonly containerId: string;
  readonly interface: string;
  /** Digest of its program. */
  readonly program: string;
  /** Digest of a program whose verdicts are told and never applied; it is one of `programs` as well. */
  readonly shadow: string | undefined;
}

/** What could not be put into force, and why; travels in the receipt. */
export interface Pending { readonly kind: string; readonly id: string; readonly path: string; readonly code: string; readonly reason: string }
