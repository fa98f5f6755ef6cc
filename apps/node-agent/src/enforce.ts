import { createHash } from 'node:crypto';
import { type Kernel, KernelError } from '@osier/dataplane/kernel';
import { mapped16 } from '@osier/domain/net/ipv4';
import type { RuleInfo } from '@osier/domain/policy/model';
import { type Attestation, attest } from '@osier/domain/reconcile/attest';
import { desired } from '@osier/domain/reconcile/desired';
import { plan, shrunk } from '@osier/domain/reconcile/plan';
import type { NodeProgram, Pending } from '@osier/domain/reconcile/program';
import { type Highest, nothingGiven, number, type Tables } from '@osier/domain/reconcile/tables';
import type { View } from '@osier/domain/reconcile/view';
import type { Devices } from './kernel/devices.ts';
import { readTables } from './kernel/records.ts';
import { createDeparted, type Departed } from './kernel/departed.ts';
import { carryOut, checkFits, fits, sizes } from './kernel/writer.ts';
import type { Witness } from './kernel/observed.ts';
import type { Timings } from './trace.ts';

/**
 *   view ─desired─► program ─prepare─► devices ─number─► tables ─plan─► steps ─► kernel ─► read back ─attest─► what is so
 *        compile                └─────────── kernel write ───────────────┘     └── read back ──┘
 */
export interface Enforced {
  readonly program: NodeProgram;
  readonly ifindexes: ReadonlyMap<string, number>;
  readonly rules: ReadonlyMap<number, RuleInfo>;
  readonly pending: readonly Pending[];
  readonly attestation: Attestation;
  /** Differences between what should be and what was read back; empty if all is well. */
  readonly differences: readonly string[];
  readonly epoch: number;
  readonly steps: number;
}
export interface Enforcer {
  /** Brings the kernel to what the view says. Throws KernelError; the kernel then does what it did, and calling again goes on from there. */
  enforce(view: View, revision: number, o: { thorough: boolean; timings: Timings }): Enforced;
  /** Reads the kernel back and compares it with what was enforced last; looks into some workloads, others the next time. */
  inspect(last: Enforced): Pick<Enforced, 'attestation' | 'differences'>;
}

/** Workloads that are looked into at one inspection: a quarter of the node's, and no fewer than the first number, no more than the second. */
const insideAtOnce = [8, 256] as const;

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export function createEnforcer(o: { kernel: Kernel; devices: Devices; witness: Witness; node: string }): Enforcer {
  const { kernel, devices, witness } = o;
  const departed = createDeparted(kernel, witness);
  let highest: Highest = nothingGiven;
  let turn = 0;
  const inside = (program: NodeProgram, ifindexes: ReadonlyMap<string, number>): string[] => {
    const mine = program.endpoints.filter((e) => ifindexes.has(e.id));
    const count = Math.min(mine.length, insideAtOnce[1], Math.max(insideAtOnce[0], Math.ceil(mine.length / 4)));
    const now = Array.from({ length: count }, (_, i) => mine[(turn + i) % mine.length]).filter((e) => e !== undefined);
    turn = mine.length === 0 ? 0 : (turn + count) % mine.length;
    return now.flatMap((e) => witness.inside(e));
  };
  const inspect = (program: NodeProgram, ifindexes: ReadonlyMap<string, number>) => {
    const seen = witness.look();
    const attestation = attest(program, ifindexes, seen.tables, sha256);
    return { attestation, differences: [...attestation.differences, ...seen.faults, ...devices.missing(program, ifindexes), ...departed.remaining()] };
  };
  return {
    enforce(view, revision, { thorough, timings }) {
      const program = timings.run('compile', () => desired(view, o.node, sha256));
      const written = timings.run('kernelWrite', () => {
        configure(kernel, program);
        if (thorough) devices.ensureOverlay();
        const { ifindexes, pending } = devices.prepare(program, thorough);
        const actual = readTables(kernel);
        const numbered = number(program, ifindexes, actual, highest);
        highest = numbered.highest;
        const { steps, epoch } = write(kernel, numbered.tables, actual, revision, departed);
        devices.activate(program);
        return { ifindexes, pending, rules: numbered.ruleNumbers, epoch, steps };
      });
      const seen = timings.run('readBack', () => inspect(program, written.ifindexes));
      return { program, ...written, pending: [...program.pending, ...written.pending], ...seen };
    },
    inspect(last) {
      const seen = inspect(last.program, last.ifindexes);
      return { ...seen, differences: [...seen.differences, ...inside(last.program, last.ifindexes)] };
    },
  };
}

function write(kernel: Kernel, wanted: Tables, actual: Tables, revision: number, departed: Departed): { steps: number; epoch: number } {
  // Whoever comes back while connections of the former life may be left must not find them.
  const careful = kernel.restored || departed.any;
  const make = (to: Tables, from: Tables) => plan(to, from, kernel.config().epoch, { forgetNew: careful });
  departed.note([...actual.addresses].flatMap(([key, row]) => (wanted.addresses.has(key) ? [] : [row])), wanted.addresses);
  let next = make(wanted, actual);
  if (!fits(kernel, next.peak)) {
    checkFits(kernel, sizes(wanted));
    carryOut(kernel, make(shrunk(wanted, actual), actual).steps, revision);
    next = make(wanted, readTables(kernel));
    checkFits(kernel, next.peak);
  }
  const epoch = carryOut(kernel, next.steps, revision);
  departed.sweep();
  return { steps: next.steps.length, epoch };
}

/** Other nodes accept packets of ours from this tunnel endpoint only, so the node's document decides it, not this machine. */
function configure(kernel: Kernel, program: NodeProgram): void {
  if (program.tunnelEndpoint === undefined) return;
  const underlay = mapped16(program.tunnelEndpoint);
  if (!Buffer.from(kernel.config().underlay).equals(underlay)) kernel.configure({ underlay });
}

/** What a failure of the kernel means for the receipt: the node as a whole is behind, and why. */
export const pendingOf = (node: string, error: unknown): Pending => error instanceof KernelError
  ? { kind: 'node', id: node, path: node, code: error.code, reason: `${error.reason} (${error.path}). ${error.fix}` }
  : { kind: 'node', id: node, path: node, code: 'internal-error', reason: error instanceof Error ? error.message : String(error) };
