import type { Document, Scope } from '@osier/contracts/document';
import type { Decision } from '@osier/domain/decision';
import { decideRelease, decideReserve, notForYou } from '@osier/domain/ipam/lease';
import { parseIpv4 } from '@osier/domain/net/ipv4';
import type { Handler, HandlerContext, Reader } from '@osier/domain/service';

export const reserveLease: Handler<'lease.reserve'> = async ({ scope, credential, body }, context) => {
  const stranger = notForYou(credential);
  if (stranger) return stranger;
  const taken = await takenIn(scope, context.own);
  const decision = decideReserve(scope, body, { network: await networkOf(body.network, context), held: await context.own.get('lease', body.endpoint), taken });
  for (const address of addressesOf(decision)) taken.add(address);
  return decision;
};

export const releaseLease: Handler<'lease.release'> = async ({ scope, credential, body }, { own }) => {
  const stranger = notForYou(credential);
  if (stranger) return stranger;
  const decision = decideRelease(await own.get('lease', body.lease));
  const taken = await takenIn(scope, own);
  for (const address of addressesOf(decision)) taken.delete(address);
  return decision;
};

async function networkOf(id: string, { known, catchUp }: HandlerContext): Promise<Document<'network'> | undefined> {
  const network = await known.get('network', id);
  if (network) return network;
  await catchUp();
  return known.get('network', id);
}

/** By transaction, whose reader is the key, so that a batch of a thousand leases reads what is held once. It ends with the transaction, whether that is kept or not. */
const takenBy = new WeakMap<Reader, Map<string, Set<number>>>();

async function takenIn({ domain, project, environment }: Scope, own: Reader): Promise<Set<number>> {
  const environments = takenBy.get(own) ?? new Map<string, Set<number>>();
  takenBy.set(own, environments);
  const key = `${domain}/${project}/${environment}`;
  const known = environments.get(key);
  if (known) return known;
  const leases = await own.list('lease', { domain, project, environment });
  const taken = new Set(leases.map((lease) => parseIpv4(lease.status.address) ?? -1));
  environments.set(key, taken);
  return taken;
}

const addressesOf = (decision: Decision): number[] =>
  decision.result !== 'accepted' ? [] : decision.puts.flatMap((put) => (put.kind === 'lease' ? [parseIpv4(put.status.address) ?? -1] : []));
