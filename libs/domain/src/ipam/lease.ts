import type { LeaseReserveBody } from '@osier/contracts/catalogue';
import type { Document, Scope } from '@osier/contracts/document';
import { type AnyProposed, accept, type Decision, refuse, tombstone } from '../decision.ts';
import { newborn } from '../entity.ts';
import { formatIpv4, parseIpv4, parsePrefix, type Prefix, prefixContains } from '../net/ipv4.ts';

/** The only speaker of the intents that services send each other. */
export const topologyCredential = 'osier-topology';

/** Refuses an intent that only topology may send. */
export const notForYou = (credential: string): Decision | undefined =>
  credential === topologyCredential ? undefined : refuse('not-allowed', 'subject.credential', 'Addresses are leased by topology only, when an endpoint is made.', 'Apply an endpoint; it gets its address by itself.');

const prefixes = (subnets: readonly string[]): Prefix[] => subnets.map(parsePrefix).filter((p) => p !== undefined);
/** First and last address of a subnet of length ≤ 30 are kept free: the network itself, and broadcast (RFC 3021 for the others). */
const isKept = (p: Prefix, address: number): boolean => p.length <= 30 && (address === p.first || address === p.last);

export type Allocation = { readonly address: number } | { readonly refused: Decision };
export interface AllocationQuestion {
  readonly subnets: readonly string[];
  /** Held addresses, those in quarantine among them. */
  readonly taken: ReadonlySet<number>;
  readonly requested?: string | undefined;
  /** Path of the network, for words. */
  readonly network: string;
}

/** The requested address, or the lowest free one. */
export function allocate(q: AllocationQuestion): Allocation {
  return q.requested === undefined ? nextFree(q) : requested(q, q.requested);
}

function requested({ subnets, taken, network }: AllocationQuestion, text: string): Allocation {
  const address = parseIpv4(text);
  const home = address === undefined ? undefined : prefixes(subnets).find((p) => prefixContains(p, address));
  if (address === undefined || !home) {
    return { refused: refuse('address-outside-subnets', 'spec.address', `${text} is in no subnet of network ${network}, which has ${subnets.join(', ')}.`, 'Choose an address within them, or leave the field out.') };
  }
  if (isKept(home, address)) {
    return { refused: refuse('address-reserved', 'spec.address', `${text} is the first or last address of its subnet, which no endpoint gets.`, 'Choose another address, or leave the field out.') };
  }
  if (taken.has(address)) return { refused: refuse('address-taken', 'spec.address', `${text} is held already in network ${network}.`, 'Choose another address, or leave the field out.') };
  return { address };
}

function nextFree({ subnets, taken, network }: AllocationQuestion): Allocation {
  for (const p of prefixes(subnets)) {
    const [from, to] = p.length <= 30 ? [p.first + 1, p.last - 1] : [p.first, p.last];
    for (let address = from; address <= to; address++) if (!taken.has(address)) return { address };
  }
  return { refused: refuse('addresses-exhausted', 'spec.network', `All addresses of network ${network} (${subnets.join(', ')}) are held; those of deleted endpoints until every node has confirmed it.`, 'Add a subnet to the network, or delete endpoints that are not needed.') };
}

/**
 * Locally administered (02), unique within a routing domain since the address is in it; the second byte folds the VNI, so that equal
 * addresses of two environments are told apart in a packet capture.
 */
export function macOf(address: number, vni: number): string {
  const fold = (vni ^ (vni >>> 8) ^ (vni >>> 16)) & 255;
  return [2, fold, address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

export interface ReserveFacts {
  readonly network: Document<'network'> | undefined;
  /** The lease that the endpoint holds already. */
  readonly held: Document<'lease'> | undefined;
  /** Addresses held in the whole environment: a lease of an earlier network with the same subnet blocks its address too, until it is released. */
  readonly taken: ReadonlySet<number>;
}

/** A lease has the id of its endpoint, and the name of its address: both can be held once. */
export function decideReserve(scope: Scope, body: LeaseReserveBody, { network, held, taken }: ReserveFacts): Decision {
  if (held) return accept();
  const here = network && network.domain === scope.domain && network.project === scope.project && network.environment === scope.environment;
  if (!here) return refuse('unknown-network', 'spec.network', 'The network of this endpoint does not exist any more.', 'Apply the network first, then the endpoint again.');
  const path = `${scope.domain}/${scope.project}/${scope.environment}/${network.name}`;
  const answer = allocate({ subnets: network.spec.subnets, taken, requested: body.address, network: path });
  if ('refused' in answer) return answer.refused;
  const address = formatIpv4(answer.address);
  const status = { address, mac: macOf(answer.address, network.status.vni) };
  return accept(newborn('lease', scope, address, { network: network.id, endpoint: body.endpoint }, { id: body.endpoint, parent: network.id, status }));
}

export const decideRelease = (lease: Document<'lease'> | undefined): Decision => (lease ? accept(tombstone(lease) as AnyProposed) : accept());
