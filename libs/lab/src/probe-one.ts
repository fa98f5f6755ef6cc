import { findWorkload, readInventory, resolveTarget } from './inventory.ts';
import { openLab } from './lab.ts';
import { LabError, workloadPath } from './names.ts';
import { ask, noncesOf, type Probe } from './probes.ts';

export async function probeOne(lab: string, o: { from: string; to: string; port: string; protocol: string }): Promise<{ probe: Probe; text: string }> {
  const { paths } = openLab(lab);
  const inventory = readInventory(paths);
  const protocol = o.protocol.toUpperCase();
  if (protocol !== 'TCP' && protocol !== 'UDP') throw new LabError(`"${o.protocol}" cannot be probed`, 'Use TCP or UDP.');
  const wanted = Number(o.port);
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > 65535) throw new LabError(`"${o.port}" is not a port`, 'Give a number from 1 to 65535.');
  const from = findWorkload(inventory, o.from);
  const { workload: to, port } = resolveTarget(inventory, o.to, wanted, protocol);
  const [answer] = await ask(paths, [{ from, to, protocol, port }]);
  const path = workloadPath(to);
  const reached = answer?.result === 'answered' && answer.greeting.nonce === (await noncesOf(paths, [path])).get(path);
  const probe: Probe = { from: workloadPath(from), to: path, protocol, port, reached };
  const way = `${probe.from} (${from.address} on ${from.node}) → ${path} (${to.address}:${port} on ${to.node})`;
  if (reached) return { probe, text: `reached      ${way}` };
  const why = answer?.result === 'answered' ? `${answer.greeting.identity} answered instead` : answer?.result === 'timeout' ? 'no answer' : (answer?.detail ?? answer?.result ?? 'no answer');
  return { probe, text: `not reached  ${way}: ${why}` };
}
