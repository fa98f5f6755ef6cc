import { hash } from 'node:crypto';
import { type Kernel, KernelError } from '@osier/dataplane/kernel';
import { ProgramLimits } from '@osier/dataplane/records';
import { mapped16 } from '@osier/domain/net/ipv4';
import type { RuleInfo } from '@osier/domain/policy/model';
import { type Attestation, createAttestor, type Wanted, wantedOf } from '@osier/domain/reconcile/attest';
import { type Desired, desiredOf } from '@osier/domain/reconcile/desired';
import { type Followed, type Numbering, renumber } from '@osier/domain/reconcile/numbering';
import { type Plan, plan, shrunk } from '@osier/domain/reconcile/plan';
import { type Changed, type NodeProgram, nothingChanged, type Pending } from '@osier/domain/reconcile/program';
import { type Highest, nothingGiven, tableNames, type Tables } from '@osier/domain/reconcile/tables';
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
 *
 * Where the kernel was read back as it should be, only what has changed since goes this way: what else it holds is known, and is read again all the same. After
 * anything else, a failure, a difference, another session, everything does.
 */
export interface Enforced {
  readonly program: NodeProgram;
  readonly ifindexes: ReadonlyMap<string, number>;
  /** Rules that were given numbers: all, or those that came since the last time. */
  readonly rules: ReadonlyMap<number, RuleInfo>;
  readonly changed: Changed;
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
interface Written { readonly ifindexes: ReadonlyMap<string, number>; readonly pending: readonly Pending[]; readonly rules: ReadonlyMap<number, RuleInfo>; readonly epoch: number; readonly steps: number; readonly devicesTouched: boolean; readonly withdrawn: Iterable<string> }
/** What the kernel held, to the last row, when it was read back last. */
interface Confirmed { readonly numbering: Numbering; readonly ifindexes: ReadonlyMap<string, number> }

/** Workloads that are looked into at one inspection: a quarter of the node's, and no fewer than the first number, no more than the second. */
const insideAtOnce = [8, 256] as const;

const nothingWanted: Wanted = { entries: new Map(), turnOf: () => undefined };
/** Slots of a program. */
export const kernelRoom = ProgramLimits.layers_per_program;

export const sha256 = (text: string): string => hash('sha256', text, 'hex');

export function createEnforcer(o: { kernel: Kernel; devices: Devices; witness: Witness; node: string }): Enforcer {
  const { kernel, devices, witness } = o;
  const departed = createDeparted(kernel, witness);
  const attestor = createAttestor(sha256);
  let highest: Highest = nothingGiven;
  let known: { readonly view: View; readonly desired: Desired } | undefined;
  let numbering: Numbering | undefined;
  let confirmed: Confirmed | undefined;
  let turn = 0;
  const inside = (program: NodeProgram, ifindexes: ReadonlyMap<string, number>): string[] => {
    const mine = program.endpoints.filter((e) => ifindexes.has(e.id));
    const count = Math.min(mine.length, insideAtOnce[1], Math.max(insideAtOnce[0], Math.ceil(mine.length / 4)));
    const now = Array.from({ length: count }, (_, i) => mine[(turn + i) % mine.length]).filter((e) => e !== undefined);
    turn = mine.length === 0 ? 0 : (turn + count) % mine.length;
    return now.flatMap((e) => witness.inside(e));
  };
  const learn = (view: View): ReturnType<Desired['settle']> => {
    const news = view.takeChanged();
    const before = known?.view === view ? known : undefined;
    // Should anything be thrown halfway, the next time begins from everything.
    known = undefined;
    const desired = before?.desired ?? desiredOf(view, o.node, sha256, kernelRoom);
    if (before) for (const document of news) desired.tell(document);
    const learned = desired.settle();
    known = { view, desired };
    return learned;
  };
  /** `from`: what the attestor has seen to be as it should. */
  const readBack = (program: NodeProgram, ifindexes: ReadonlyMap<string, number>, changed: Changed, from: Confirmed | undefined, withdrawn: Iterable<string>, devicesConcerned: boolean) => {
    const devicesToo = devicesConcerned || witness.lookAtTables === undefined || witness.devicesChanged?.() !== false;
    const seen = devicesToo || witness.lookAtTables === undefined ? witness.look() : witness.lookAtTables();
    const wanted: Wanted = numbering === undefined ? nothingWanted : wantedOf(numbering);
    const attestation = from === undefined || seen.touched === undefined ? attestor.attest(program, ifindexes, seen.tables, wanted)
      : attestor.follow(program, ifindexes, seen.tables, wanted, { ...changed, withdrawn }, seen.touched);
    return { attestation, differences: [...attestation.differences, ...seen.faults, ...(devicesToo ? devices.missing(program, ifindexes) : []), ...departed.remaining()] };
  };
  const writeAll = (program: NodeProgram, revision: number, thorough: boolean): Written => {
    if (thorough) devices.ensureOverlay();
    const { ifindexes, pending } = devices.prepare(program, thorough);
    const actual = readTables(kernel);
    const { numbered, numbering: made } = renumber(program, ifindexes, actual, highest);
    highest = numbered.highest;
    // Whoever took the row of an address took no connections with it.
    const held = numbering?.tables.addresses ?? new Map<string, never>();
    numbering = made;
    const { steps, epoch } = write(kernel, numbered.tables, actual, revision, departed, held);
    devices.activate(program);
    return { ifindexes, pending, rules: numbered.ruleNumbers, epoch, steps, devicesTouched: true, withdrawn: [] };
  };
  /** Undefined: it is not enough to write what has changed. */
  const writeChanged = (program: NodeProgram, changed: Changed, revision: number, from: Confirmed): Written | undefined => {
    const touched = devices.touchedBy(program, changed.endpoints);
    const { ifindexes, pending } = touched ? devices.prepare(program, false) : { ifindexes: from.ifindexes, pending: [] };
    if (touched && (pending.length > 0 || program.endpoints.some((e) => !changed.endpoints.has(e.id) && ifindexes.get(e.id) !== from.ifindexes.get(e.id)))) return undefined;
    const followed = from.numbering.follow(program, ifindexes, changed);
    if (followed === undefined) return undefined;
    highest = from.numbering.highest;
    const { addresses } = from.numbering.tables;
    departed.note(gone(followed), addresses);
    const { steps } = plan(followed.desired, followed.former, kernel.config().epoch, { forgetNew: kernel.restored || departed.any, ours: true });
    if (!fits(kernel, together(from.numbering.tables, followed))) return undefined;
    const epoch = carryOut(kernel, steps, revision);
    departed.sweep();
    if (touched) devices.activate(program);
    numbering = from.numbering;
    return { ifindexes, pending, rules: followed.rules, epoch, steps: steps.length, devicesTouched: touched, withdrawn: followed.former.policy.keys() };
  };
  return {
    enforce(view, revision, { thorough, timings }) {
      const before = confirmed;
      // Until it has been read back again; whatever is thrown meanwhile leaves it so.
      confirmed = undefined;
      const goesOn = known?.view === view;
      const { program, changed } = timings.run('compile', () => learn(view));
      const from = thorough || !goesOn ? undefined : before;
      let narrow: Written | undefined;
      const written = timings.run('kernelWrite', () => {
        configure(kernel, program);
        narrow = from && writeChanged(program, changed, revision, from);
        return narrow ?? writeAll(program, revision, thorough);
      });
      const seen = timings.run('readBack', () => readBack(program, written.ifindexes, changed, narrow && from, written.withdrawn, written.devicesTouched));
      if (seen.differences.length === 0 && written.pending.length === 0 && numbering !== undefined) confirmed = { numbering, ifindexes: written.ifindexes };
      return { program, changed, ...written, pending: [...program.pending, ...written.pending], ...seen };
    },
    inspect(last) {
      const before = confirmed;
      // As in `enforce`: should the look fail halfway, nothing is gone on from.
      confirmed = undefined;
      const seen = readBack(last.program, last.ifindexes, nothingChanged, before, [], true);
      if (seen.differences.length === 0) confirmed = before;
      return { ...seen, differences: [...seen.differences, ...inside(last.program, last.ifindexes)] };
    },
  };
}

const gone = ({ desired, former }: Followed) => [...former.addresses].flatMap(([key, row]) => (desired.addresses.has(key) ? [] : [row]));
/** Rows of the old and the new world together. */
const together = (tables: Tables, { desired, former }: Followed): Plan['peak'] =>
  Object.fromEntries(tableNames.map((name) => [name, tables[name].size + [...former[name].keys()].filter((key) => !desired[name].has(key)).length])) as Plan['peak'];

function write(kernel: Kernel, wanted: Tables, actual: Tables, revision: number, departed: Departed, held: Tables['addresses']): { steps: number; epoch: number } {
  // Whoever comes back while connections of the former life may be left must not find them.
  const careful = kernel.restored || departed.any;
  const make = (to: Tables, from: Tables) => plan(to, from, kernel.config().epoch, { forgetNew: careful });
  departed.note([...held, ...actual.addresses].flatMap(([key, row]) => (wanted.addresses.has(key) ? [] : [row])), wanted.addresses);
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
