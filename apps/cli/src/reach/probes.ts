import { readFileSync } from 'node:fs';
import { type Family, parseAddress } from '@osier/domain/net/address';
import type { IndexedWorld } from '@osier/domain/rules/index-world';
import { sideOfAddress } from '@osier/domain/rules/index-world';
import type { Side } from '@osier/domain/rules/model';
import { exitCodes, Failure } from '../failure.ts';
import type { Io } from '../io.ts';

/** One question, as it was asked. */
export interface Probe { readonly from: string; readonly to: string; readonly protocol?: string; readonly port?: number; readonly family?: Family }
export interface Question { readonly probe: Probe; readonly from: Side; readonly to: Side; readonly protocol: string; readonly port: number | undefined; readonly family: Family | undefined }

export const protocols = ['TCP', 'UDP', 'SCTP', 'ICMP'] as const;
const fields = ['from', 'to', 'protocol', 'port', 'family'];
/** Carried through to the answer, for whoever asks many questions. */
const labels = ['id', 'name', 'note', 'comment', 'description', 'expect', 'expected'];

const wrong = (field: string, reason: string, fix: string): Failure => new Failure(exitCodes.refused, 'probe', reason, fix, field);

/** Who `ns/pod` or `ip:ADDRESS` is. `field` is what an error names. */
function sideOf(index: IndexedWorld, text: string, field: string): Side {
  if (text.startsWith('ip:')) {
    const address = parseAddress(text.slice(3));
    if (address === undefined) throw wrong(field, `"${text}" is not an address.`, 'Write ip: and an IPv4 or IPv6 address: ip:203.0.113.7, ip:2001:db8::7.');
    return sideOfAddress(index, text.slice(3), address);
  }
  const exact = index.party(text);
  if (exact !== undefined) return exact;
  const ending = index.world.parties.filter(({ name }) => name.endsWith(`/${text}`));
  if (ending.length === 1 && ending[0] !== undefined) return ending[0];
  const [reason, fix] = ending.length > 1
    ? [`"${text}" is ambiguous: ${ending.slice(0, 3).map(({ name }) => name).join(', ')}.`, 'Write the longer name.']
    : [`there is no pod or endpoint "${text}" here.`, nearest(index, text)];
  throw wrong(field, reason, fix);
}

function nearest(index: IndexedWorld, text: string): string {
  const name = text.split('/').at(-1) ?? '';
  const like = index.world.parties.filter((party) => party.name.split('/').at(-1) === name).slice(0, 3);
  return like.length > 0 ? `Did you mean ${like.map((party) => party.name).join(' or ')}?` : 'Write it as namespace/pod, environment/endpoint or ip:ADDRESS; the names of what is there: osier reach, with the same -f or place and nothing else.';
}

/** `at` is where the probe stands: `probes[3]`, or empty for the options of the command. */
export function question(index: IndexedWorld, probe: unknown, at: string): Question {
  const of = (field: string): string => (at === '' ? `--${field}` : `${at}.${field}`);
  if (typeof probe !== 'object' || probe === null || Array.isArray(probe)) throw wrong(at, 'is not an object.', 'Write {"from": "ns/pod", "to": "ns/pod", "protocol": "TCP", "port": 80}.');
  const value = probe as Record<string, unknown>;
  const strange = Object.keys(value).find((key) => !fields.includes(key) && !labels.includes(key));
  if (strange !== undefined) throw wrong(of(strange.slice(0, 63)), 'is not a field of a probe.', `Fields: ${fields.join(', ')}; ${labels.join(', ')} are carried through.`);
  const side = (field: 'from' | 'to'): Side => {
    const text = value[field];
    if (typeof text !== 'string' || text === '') throw wrong(of(field), 'is required.', 'Write namespace/pod, or ip:ADDRESS.');
    return sideOf(index, text, of(field));
  };
  const protocol = value['protocol'] ?? 'TCP';
  if (!protocols.some((known) => known === protocol)) throw wrong(of('protocol'), `${JSON.stringify(protocol)} is not a protocol.`, `Use one of ${protocols.join(', ')}.`);
  const { port, family } = value;
  if (port === undefined || port === null ? protocol !== 'ICMP' : typeof port !== 'number' || !Number.isInteger(port) || port < (protocol === 'ICMP' ? 0 : 1) || port > 65535) {
    throw wrong(of('port'), port === undefined || port === null ? `is required for ${String(protocol)}.` : `${JSON.stringify(port)} is not a port.`, 'Give a number from 1 to 65535, without quotes.');
  }
  if (family !== undefined && family !== null && family !== 4 && family !== 6) throw wrong(of('family'), `${JSON.stringify(family)} is not a family of addresses.`, 'Use 4 or 6, or leave it out.');
  const [from, to] = [side('from'), side('to')];
  const asked = family === 4 || family === 6 ? family : undefined;
  for (const [field, one] of [['from', from], ['to', to]] as const) {
    if (one.type === 'outside' && asked !== undefined && !one.addresses.some((address) => address.family === asked)) throw wrong(of('family'), `is ${asked}, and ${field} ${one.name} is an address of the other family.`, 'Correct one of the two.');
  }
  const addressed = [value['from'], value['to']].find((text) => typeof text === 'string' && text.startsWith('ip:'));
  const implied = typeof addressed === 'string' ? parseAddress(addressed.slice(3))?.family : undefined;
  return { probe: value as unknown as Probe, from, to, protocol: String(protocol), port: typeof port === 'number' ? port : undefined, family: asked ?? implied };
}

export async function readProbes(path: string, io: Io): Promise<unknown[]> {
  let text = '';
  try {
    if (path === '-') for await (const chunk of io.stdin) text += String(chunk);
    else text = readFileSync(path, 'utf8');
  } catch (error) {
    throw wrong('--probes', `cannot be read: ${(error as Error).message}.`, 'Correct the path.');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw wrong('--probes', `${path} is not JSON: ${(error as Error).message}.`, 'Write a list: [{"from": "ns/pod", "to": "ns/pod", "protocol": "TCP", "port": 80}].');
  }
  if (!Array.isArray(value)) throw wrong('--probes', `${path} is not a list.`, 'Write a list: [{"from": "ns/pod", "to": "ns/pod", "protocol": "TCP", "port": 80}].');
  return value as unknown[];
}
