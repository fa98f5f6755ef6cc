import type { Assertion } from '@osier/domain/review/assertions';
import type { Outcome } from '@osier/domain/review/check';
import { packetCheck, type PacketQuestion, transports } from '@osier/domain/review/packets';
import type { IndexedWorld } from '@osier/domain/rules/index-world';
import type { PlacedWorkload } from '@osier/lab/inventory';
import { usage } from '../failure.ts';
import type { Io } from '../io.ts';

/** More would take longer than anybody waits: a packet that is denied is silence, for two seconds. */
const most = 20_000;

export interface PacketOptions { readonly lab?: string; readonly environment?: string }

/** Assertions against the packets of a lab of this machine: each pair that they mean, one by one. */
export async function outcomesByPackets(io: Io, index: IndexedWorld, assertions: readonly Assertion[], source: 'kubernetes' | 'osier', options: PacketOptions): Promise<Outcome[]> {
  const [{ openLab }, { readInventory, workloadsOf }, { probe }] = await Promise.all([import('@osier/lab/lab'), import('@osier/lab/inventory'), import('@osier/lab/probes')]);
  const { paths } = openLab(options.lab ?? io.env['OSIER_LAB'] ?? 'osier');
  const inventory = readInventory(paths);
  if (source === 'kubernetes' && options.environment === undefined) throw usage('the pods of manifests may run in several environments of a lab.', `Name one: -e ${inventory.environments.map(({ name }) => name).join(' or -e ') || 'ENVIRONMENT'}.`);
  const place = new Map(inventory.environments.map((e) => [e.name, `${e.domain}/${e.project}/${e.name}`]));
  const running = new Map(workloadsOf(inventory).flatMap((w): [string, PlacedWorkload][] => (
    source === 'osier' ? [[`${place.get(w.environment)}/${w.name}`, w]] : w.environment === options.environment ? [[w.path ?? `default/${w.name}`, w]] : []
  )));
  const parties = index.world.parties.filter(({ host, ended }) => host !== true && ended !== true);
  const absent = parties.filter(({ name }) => !running.has(name));
  if (absent.length > 0) io.err(`warning: ${absent.length} of ${parties.length} do not run in the lab, and no packet is sent from or to them (${absent.slice(0, 3).map(({ name }) => name).join(', ')})`);
  const check = packetCheck(index, assertions, (side) => running.has(side.name));
  if (check.questions.length > most) throw usage(`these assertions mean ${check.questions.length} packets, and at most ${most} are sent.`, 'Name ports or fewer endpoints, or check the rules instead: leave out --packets.');
  const of = (name: string): PlacedWorkload => running.get(name) as PlacedWorkload;
  const probes = await probe(paths, check.questions.map(({ from, to, protocol, port }: PacketQuestion) => ({ from: of(from), to: of(to), protocol: protocol as 'TCP' | 'UDP' | 'SCTP', port })));
  io.err(`${probes.length} packets sent, ${probes.filter(({ reached }) => reached).length} got through; ${transports.join(', ')}, IPv4`);
  return check.outcomes(probes.map(({ reached }) => reached));
}
