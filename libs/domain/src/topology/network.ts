import type { ApplyBody } from '@osier/contracts/catalogue';
import { type Document, pathOf, type Scope } from '@osier/contracts/document';
import { type AnyProposed, accept, type Decision, propose, refuse, versionConflict } from '../decision.ts';
import { newborn, same } from '../entity.ts';
import { parseIpv4, parsePrefix, prefixContains } from '../net/ipv4.ts';
import { subnetProblem } from '../net/subnets.ts';

export interface NetworkFacts {
  readonly current: Document<'network'> | undefined;
  /** All networks of the environment. */
  readonly networks: readonly Document<'network'>[];
  /** Endpoints of the current network. */
  readonly endpoints: readonly Document<'endpoint'>[];
  readonly routingDomain: Document<'routing-domain'> | undefined;
}
/** Numbers that are used only when something is made. */
export interface Numbers { newId(): string; nextVni(): Promise<number>; nextNetwork(): Promise<number> }

export const highestVni = 0xff_ff_ff;

export async function decideNetwork(scope: Scope, body: ApplyBody<'network'>, facts: NetworkFacts, numbers: Numbers): Promise<Decision> {
  const { current } = facts;
  const conflict = versionConflict(body, current);
  if (conflict) return conflict;
  const neighbours = facts.networks.filter((n) => n.name !== body.name).map((n) => ({ path: pathOf(n), subnets: n.spec.subnets }));
  const problem = subnetProblem(body.spec.subnets, neighbours) ?? strandedEndpoint(body.spec.subnets, facts);
  if (problem) return problem;
  if (current) return same(current.spec, body.spec) ? accept() : accept({ ...propose(current), spec: body.spec });

  const [routingDomain, made] = await ensureRoutingDomain(scope, facts.routingDomain, numbers);
  if (routingDomain === undefined) return vnisExhausted();
  const status = { routingDomain: routingDomain.id, vni: routingDomain.status.vni, number: await numbers.nextNetwork() };
  return accept(...made, newborn('network', scope, body.name, body.spec, { id: numbers.newId(), status }));
}

/** Taking away a subnet must not take the ground from under an endpoint. */
function strandedEndpoint(subnets: readonly string[], { current, endpoints }: NetworkFacts): Decision | undefined {
  const ranges = subnets.map(parsePrefix).filter((p) => p !== undefined);
  const stranded = endpoints.find((e) => !ranges.some((p) => prefixContains(p, parseIpv4(e.status.address) ?? -1)));
  if (!stranded || !current) return undefined;
  return refuse('in-use', 'spec.subnets', `Endpoint ${pathOf(stranded)} has ${stranded.status.address}, which would be in no subnet of ${pathOf(current)}.`, `Keep its subnet, or delete ${pathOf(stranded)} first.`);
}

type RoutingDomain = Pick<Document<'routing-domain'>, 'id' | 'status'>;

/** The routing domain of an environment: the one there is, or a new one with a VNI that none ever had. Undefined: no VNI is left. */
export async function ensureRoutingDomain(scope: Scope, current: RoutingDomain | undefined, numbers: Pick<Numbers, 'newId' | 'nextVni'>): Promise<[RoutingDomain | undefined, AnyProposed[]]> {
  if (current) return [current, []];
  const vni = await numbers.nextVni();
  if (vni > highestVni) return [undefined, []];
  const fresh: RoutingDomain = { id: numbers.newId(), status: { vni } };
  return [fresh, [newborn('routing-domain', scope, 'default', {}, fresh)]];
}

const vnisExhausted = (): Decision =>
  refuse('vnis-exhausted', 'environment', `All ${highestVni} VNIs have been given.`, 'Install another Osier for further environments.');
