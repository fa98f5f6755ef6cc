import type { Asked, Oracle } from './oracle.ts';
import type { Random } from './random.ts';
import type { Obj } from './worlds.ts';

/* eslint-disable @typescript-eslint/no-explicit-any -- manifests are read as they were written */
type Raw = any;

/** Every question one at a time, asked of the oracle: no classes, no spans, nothing of the model. */
export const protocols = ['TCP', 'UDP', 'SCTP', 'ICMP'] as const;

export const isParty = ({ kind }: Obj): boolean => ['Pod', 'Deployment', 'StatefulSet', 'DaemonSet'].includes(kind);
export const nameOf = ({ metadata }: Obj): string => `${metadata.namespace}/${metadata.name}`;
export const templateOf = (object: Raw): Raw => (object.kind === 'Pod' ? object : object.spec.template);
export const partyNames = (objects: readonly Obj[]): string[] => objects.filter(isParty).map(nameOf);
export const nodeAddresses = (objects: readonly Obj[]): string[] => objects.filter(({ kind }) => kind === 'Node').flatMap((node: Raw) => node.status.addresses.map((a: Raw) => a.address).filter((text: string) => /[.:]/.test(text))).map((ip: string) => `ip:${ip}`);

/** Addresses that somebody has, so that they are nobody's outside. */
export function held(objects: readonly Obj[]): Set<string> {
  const pods = objects.filter(({ kind }) => kind === 'Pod').flatMap((pod: Raw) => [...(pod.status?.podIPs ?? []).map((one: Raw) => one.ip), ...(pod.status?.podIP === undefined ? [] : [pod.status.podIP])]);
  return new Set([...pods.map((ip: string) => `ip:${ip}`), ...nodeAddresses(objects)]);
}

function familiesOfSide(objects: readonly Obj[], text: string): number[] {
  if (text.startsWith('ip:')) return [text.includes(':', 3) ? 6 : 4];
  const pod: Raw = objects.find((object) => isParty(object) && nameOf(object) === text);
  const ips: string[] = pod.kind !== 'Pod' ? [] : (pod.status?.podIPs ?? (pod.status?.podIP === undefined ? [] : [{ ip: pod.status.podIP }])).map((one: Raw) => one.ip);
  return [...new Set(ips.map((ip) => (ip.includes(':') ? 6 : 4)))];
}
/** As ADR 0020 has it: families that both have; where one has no address, those of the other; where neither has, IPv4. */
export function families(objects: readonly Obj[], from: string, to: string): (4 | 6 | undefined)[] {
  const [a, b] = [familiesOfSide(objects, from), familiesOfSide(objects, to)];
  if (a.length + b.length === 0) return [4];
  const both = a.length === 0 ? b : b.length === 0 ? a : a.filter((family) => b.includes(family));
  if (both.length > 0) return both as (4 | 6)[];
  return from.startsWith('ip:') || to.startsWith('ip:') ? [] : [undefined];
}

/** Every number that the manifests mention, its neighbours, the ends, and a few that nobody mentions. */
export function somePorts(random: Random, objects: readonly Obj[]): number[] {
  const found = new Set([1, 65_535, 1 + random.int(65_535), 1 + random.int(65_535)]);
  const mentioned = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, of] of Object.entries(value)) {
      if (typeof of === 'number' && /port|number|start|end/i.test(key)) for (const port of [of - 1, of, of + 1]) found.add(port);
      else mentioned(of);
    }
  };
  mentioned(objects);
  return [...found].filter((port) => port > 0 && port < 65_536);
}

export interface Question { readonly from: string; readonly to: string; readonly family: 4 | 6 | undefined; readonly protocol: string; readonly port: number }
export const asAsked = ({ from, to, family, protocol, port }: Question): Asked => ({ from, to, protocol, port, ...(family === undefined ? {} : { family }) });
export const passesIn = (oracle: Oracle, question: Question): boolean => oracle.ask(asAsked(question)).verdict === 'Allow';
