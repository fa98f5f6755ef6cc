import { readFileSync } from 'node:fs';
import { findWorkload, type Inventory, type PlacedWorkload, readInventory, resolveTarget, workloadsOf } from './inventory.ts';
import type { AppProtocol } from './kubernetes/application.ts';
import { openLab } from './lab.ts';
import { LabError, workloadPath } from './names.ts';
import { outcomes, type Probe, probe, type Wish } from './probes.ts';

const protocols = ['TCP', 'UDP', 'SCTP'] as const;
function protocolOf(text: unknown, at: string): AppProtocol {
  const found = protocols.find((one) => one === String(text).toUpperCase());
  if (found === undefined) throw new LabError(`${at}"${String(text)}" cannot be probed`, 'Use TCP, UDP or SCTP.');
  return found;
}
function portOf(value: unknown, at: string): number {
  const port = Number(value);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new LabError(`${at}"${String(value)}" is not a port`, 'Give a number from 1 to 65535.');
  return port;
}

export async function probeOne(lab: string, o: { from: string; to: string; port: string; protocol: string }): Promise<{ probe: Probe; text: string }> {
  const { paths } = openLab(lab);
  const inventory = readInventory(paths);
  const protocol = protocolOf(o.protocol, '');
  const from = findWorkload(inventory, o.from);
  const { workload: to, port } = resolveTarget(inventory, o.to, portOf(o.port, ''), protocol);
  const wish = { from, to, protocol, port };
  const [outcome] = await outcomes(paths, [wish]);
  const way = `${workloadPath(from)} (${from.address} on ${from.node}) → ${workloadPath(to)} (${to.address}:${port} on ${to.node})`;
  const one: Probe = { from: workloadPath(from), to: workloadPath(to), protocol, port, reached: outcome?.reached === true };
  return { probe: one, text: one.reached ? `reached      ${way}` : `not reached  ${way}: ${outcome?.why ?? 'no answer'}` };
}

/** What real packets met, in the words of `osier reach --probes`. */
export interface Verdict { readonly from: string; readonly to: string; readonly protocol: AppProtocol; readonly port: number; readonly verdict: 'Allow' | 'Deny' }

/** The questions of a file for `osier reach --probes`, by real packets between the workloads of one environment; in the order of the file. */
export async function probeFile(lab: string, o: { file: string; environment?: string }): Promise<Verdict[]> {
  const { paths } = openLab(lab);
  const inventory = readInventory(paths);
  const environment = o.environment ?? onlyOne(inventory);
  const questions = readQuestions(o.file);
  const wishes = questions.map((question, i) => wishOf(inventory, environment, question, `probes[${i}]`));
  const probes = await probe(paths, wishes);
  return questions.map((question, i): Verdict => {
    const { protocol, port } = wishes[i] as Wish;
    return { ...question, from: String(question.from), to: String(question.to), protocol, port, verdict: probes[i]?.reached === true ? 'Allow' : 'Deny' };
  });
}

type Question = Readonly<Record<string, unknown>>;
function readQuestions(file: string): Question[] {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8'));
  } catch (error) {
    throw new LabError(`the probes in ${file} cannot be read: ${(error as Error).message}`, 'Write a JSON list: [{"from": "ns/pod", "to": "ns/pod", "protocol": "TCP", "port": 80}].');
  }
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'object' && one !== null)) throw new LabError(`${file} is not a list of probes`, 'Write [{"from": "ns/pod", "to": "ns/pod", "protocol": "TCP", "port": 80}].');
  return value as Question[];
}

function onlyOne({ environments }: Inventory): string {
  const [only, ...more] = environments;
  if (only === undefined) throw new LabError('there is no workload in this lab', 'Load some first: osier lab load -f DIR --environment staging');
  if (more.length > 0) throw new LabError(`this lab has ${environments.length} environments`, `Name one of them: --environment ${environments.map(({ name }) => name).join(' or ')}.`);
  return only.name;
}

function wishOf(inventory: Inventory, environment: string, question: Question, at: string): Wish {
  if (question.family === 6) throw new LabError(`${at}.family: IPv6 is not carried in a lab yet`, 'Ask osier reach, or leave the probe out.');
  const side = (field: 'from' | 'to'): PlacedWorkload => {
    const text = question[field];
    if (typeof text !== 'string' || text === '') throw new LabError(`${at}.${field} is required`, 'Write namespace/pod or the name of a workload.');
    if (!text.startsWith('ip:')) return findWorkload(inventory, text.startsWith(`${environment}/`) ? text : `${environment}/${text}`);
    const holder = workloadsOf(inventory).find((w) => w.environment === environment && w.address === text.slice(3));
    if (holder === undefined) throw new LabError(`${at}.${field}: no workload of ${environment} has the address ${text.slice(3)}, and a lab has no outside`, 'Ask osier reach, or leave the probe out.');
    return holder;
  };
  return { from: side('from'), to: side('to'), protocol: protocolOf(question.protocol ?? 'TCP', `${at}.protocol: `), port: portOf(question.port, `${at}.port: `) };
}
