import type { Document, Scope } from '@osier/contracts/document';
import { decideRelease, decideReserve, notForYou } from '@osier/domain/ipam/lease';
import type { Handler, HandlerContext } from '@osier/domain/service';

export const reserveLease: Handler<'lease.reserve'> = async ({ scope, credential, body }, context) => {
  const stranger = notForYou(credential);
  if (stranger) return stranger;
  const network = await networkOf(body.network, context);
  return decideReserve(scope, body, { network, held: await context.own.get('lease', body.endpoint), leases: await leasesOf(scope, context) });
};

export const releaseLease: Handler<'lease.release'> = async ({ credential, body }, { own }) => notForYou(credential) ?? decideRelease(await own.get('lease', body.lease));

async function networkOf(id: string, { known, catchUp }: HandlerContext): Promise<Document<'network'> | undefined> {
  const network = await known.get('network', id);
  if (network) return network;
  await catchUp();
  return known.get('network', id);
}

/** All leases of the environment: one of an earlier network with the same subnet blocks its address too, until it is released. */
const leasesOf = ({ domain, project, environment }: Scope, { own }: HandlerContext): Promise<Document<'lease'>[]> =>
  own.list('lease', { domain, project, environment });
