import { compare } from '@osier/domain/review/compare';
import { protocols } from '@osier/domain/review/ports';
import { findings, type Finding } from '@osier/domain/review/findings';
import { indexWorld } from '@osier/domain/rules/index-world';
import { exitCodes, type ExitCode, usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import { askOpen, liveOf, liveText, mayEnd } from '../policy/live.ts';
import { namer } from '../policy/names.ts';
import { changeOf, type Planned, planText } from '../policy/plan-show.ts';
import { indexOf, liveObjects, objectsOf, onlyOneStdin, sessionOr, type WorldOptions } from '../policy/worlds.ts';
import { keysOf, type Objects, replaced, worldFrom } from '../reach/sources.ts';

export interface PolicyPlanOptions extends WorldOptions { readonly file?: readonly string[]; readonly delete?: readonly string[]; readonly against?: readonly string[]; readonly failOn?: 'open' | 'close' | 'live' | 'any' }

/** `policy plan`: the world as it is beside the world after a change. */
export async function policyPlan(io: Io, options: PolicyPlanOptions): Promise<ExitCode> {
  const { file = [], delete: deleted = [], against } = options;
  if (file.length + deleted.length === 0) throw usage('say what is to change.', 'Add -f FILE for what is to be applied, or --delete FILE.');
  onlyOneStdin(file, deleted, against);
  if (options.failOn === 'live' && against !== undefined) throw usage('--fail-on live is about the connections of the installation, and files have none.', 'Leave out --against, or use --fail-on close.');
  const session = against === undefined ? sessionOr(io, options, '--against FILES') : undefined;
  const read = async (paths: readonly string[]): Promise<Objects> => objectsOf(paths, io, options, session?.connection.defaults);
  const base = session === undefined ? await read(against ?? []) : await liveObjects(options, session, io);
  const [changed, gone] = [await read(file), await read(deleted)];
  for (const other of [changed, gone]) if (other.items.length > 0 && base.items.length > 0 && other.source !== base.source) throw mixed(session === undefined);
  const keys = new Set(keysOf(gone));
  const missing = [...keys].filter((key) => !keysOf(base).includes(key));
  for (const key of missing) io.err(`warning: --delete names ${key}, which is not there`);
  const source = base.items.length > 0 ? base.source : changed.source;
  const [before, after] = [indexWorld(worldFrom(base)), indexOf(replaced({ ...base, source } as Objects, changed, keys), io)];
  if (before.world.parties.length + after.world.parties.length === 0) throw nobody(session === undefined);
  const comparison = compare(before, after);
  const open = session === undefined ? undefined : await askOpen(session, options.all === true ? session.asked : session.place, io);
  const live = open && liveOf(before, after, open);
  const known = new Set(findings(before).map(keyOf));
  const planned: Planned = { comparison, protocols, findings: findings(after).map((one) => ({ ...one, since: known.has(keyOf(one)) ? 'before' as const : 'now' as const })) };
  const value = { changes: comparison.changes.map(changeOf), findings: planned.findings.map((one) => ({ ...one, direction: one.direction ?? null, rule: one.rule ?? null })), endpoints: comparison.endpoints, undecided: [...comparison.undecided].map(([reason, pairs]) => ({ reason, pairs })), live: live ?? null };
  await print(io, options.output, value, [value], () => [planText(planned, namer(comparison.members, source === 'osier' ? 'endpoint' : 'pod')), ...(live === undefined ? [] : liveText(live))].join('\n'));
  const does = (effect: 'opens' | 'closes'): boolean => comparison.changes.some((change) => change.effect === effect);
  const fails = { any: () => does('opens') || does('closes'), open: () => does('opens'), close: () => does('closes'), live: () => live === undefined || mayEnd(live), never: () => false }[options.failOn ?? 'never']();
  return fails ? exitCodes.refused : exitCodes.ok;
}

const keyOf = ({ finding, kind, policy, direction, rule }: Finding): string => JSON.stringify([finding, kind, policy, direction, rule]);
const nobody = (offline: boolean): Error => usage('there is no pod, workload or endpoint in either world, so nobody could reach anybody.', offline ? 'Add the manifests of the pods or the documents of the endpoints to --against.' : 'Name the place where they are: -d, -p, -e, or -A for all.');
const mixed = (offline: boolean): Error => usage('Kubernetes manifests and Osier documents cannot be compared.', offline ? 'Give -f, --delete and --against objects of one sort.' : 'The installation holds Osier documents. For a change of manifests, add the manifests as they are: --against FILES.');
