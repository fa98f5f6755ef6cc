import type { ApplyBody } from '@osier/contracts/catalogue';
import { type Document, pathOf, type Scope } from '@osier/contracts/document';
import { limits } from '@osier/contracts/limits';
import type { Outcome } from '@osier/contracts/outcome';
import type { Problem } from '@osier/contracts/problem';
import { type AnyProposed, accept, type ChildIntent, type Decision, propose, refuse, versionConflict } from '../decision.ts';
import { immutable, newborn, same } from '../entity.ts';
import { macOf } from '../ipam/lease.ts';
import { parseIpv4, parsePrefix, prefixContains } from '../net/ipv4.ts';
import { contested } from './attachment.ts';

/**
 * Making an endpoint is a small process, since ipam decides its address:
 *
 *   apply ──► waiting ──lease granted──► endpoint; or refused and the lease released, where its network changed, its node went or its namespace was taken meanwhile
 *               │ └─────lease refused──► refused
 *               └─ipam silent too long─► refused, and the lease released (ipam takes both in the order in which they were sent)
 */
export interface Note { readonly endpoint: string; readonly network: string }

export interface EndpointFacts {
  readonly current: Document<'endpoint'> | undefined;
  readonly network: Document<'network'> | undefined;
  readonly node: Document<'node'> | undefined;
  /** The endpoints that are in the network namespace it names. */
  readonly holders: readonly Document<'endpoint'>[];
}

export function decideEndpoint(scope: Scope, body: ApplyBody<'endpoint'>, facts: EndpointFacts, newId: () => string): Decision {
  const conflict = versionConflict(body, facts.current);
  if (conflict) return conflict;
  if (facts.current) return changed(facts.current, body);
  const problem = groundless(scope, body, facts);
  if (problem) return problem;
  const endpoint = newId();
  const network = (facts.network as Document<'network'>).id;
  const reserve: ChildIntent<'lease.reserve'> = { id: reserveId(endpoint), name: 'lease.reserve', scope, body: { network, endpoint, ...(body.spec.address === undefined ? {} : { address: body.spec.address }) } };
  return { result: 'waiting', awaits: reserve.id, deadlineMs: limits.leaseReserveMs, note: { endpoint, network } satisfies Note, intents: [reserve] };
}

/** Unguessable, since the endpoint's id is: nobody can answer in ipam's place by choosing an intent's id. */
export const reserveId = (endpoint: string): string => `reserve-${endpoint}`;
export const releaseId = (endpoint: string): string => `release-${endpoint}`;
/** A lease has the id of its endpoint. */
export const release = (scope: Scope, endpoint: string): ChildIntent<'lease.release'> =>
  ({ id: releaseId(endpoint), name: 'lease.release', scope: { domain: scope.domain, project: scope.project, environment: scope.environment }, body: { lease: endpoint } });

function changed(current: Document<'endpoint'>, { spec }: ApplyBody<'endpoint'>): Decision {
  const was = current.spec;
  if (spec.network !== was.network) return immutable('spec.network', was.network, spec.network);
  if (spec.node !== was.node) return immutable('spec.node', was.node, spec.node);
  if (spec.address !== undefined && spec.address !== current.status.address) return immutable('spec.address', current.status.address, spec.address);
  if (!same(spec.attachment, was.attachment)) return immutable('spec.attachment', was.attachment, spec.attachment);
  // An address once asked for stays asked for: leaving it out later changes nothing.
  const next = was.address === undefined ? withoutAddress(spec) : { ...spec, address: was.address };
  return same(next, was) ? accept() : accept({ ...propose(current), spec: next } as AnyProposed);
}
const withoutAddress = <T extends { address?: unknown }>({ address: _address, ...rest }: T): Omit<T, 'address'> => rest;

/** Refuses where the network or the node of a new endpoint does not exist, or another is where it wants to be. */
function groundless(scope: Scope, { spec }: ApplyBody<'endpoint'>, { network, node, holders }: EndpointFacts): Decision | undefined {
  const environment = `${scope.domain}/${scope.project}/${scope.environment}`;
  if (!network) {
    return refuse('unknown-network', 'spec.network', `There is no network "${spec.network}" in environment ${environment}.`, `Make the network "${spec.network}" first with "osier apply -f", or correct the name.`);
  }
  if (!node) {
    return refuse('unknown-node', 'spec.node', `There is no node "${spec.node}".`, `Make the node "${spec.node}" first with "osier apply -f", or correct the name ("osier nodes" lists them).`);
  }
  return contested(scope, spec, holders);
}

/** How the process goes on. `holder`: the endpoint that has the requested address. */
export interface Continuation { readonly scope: Scope; readonly body: ApplyBody<'endpoint'>; readonly note: Note; readonly outcome: Outcome | undefined }

export function continueEndpoint({ scope, body, note, outcome }: Continuation, facts: EndpointFacts & { readonly holder?: Document<'endpoint'> | undefined }): Decision {
  const giveBack = (decision: Decision): Decision => ({ ...decision, intents: [release(scope, note.endpoint)] });
  if (outcome === undefined) {
    return giveBack(refuse('no-address-in-time', '', `The address service did not answer within ${limits.leaseReserveMs / 1000} s.`, 'Apply the endpoint again; if that repeats, look at the service "ipam".'));
  }
  if (!answers(outcome, 'lease.reserve')) return { result: 'waiting', awaits: reserveId(note.endpoint), deadlineMs: limits.leaseReserveMs, note, intents: [] };
  if (outcome.result === 'refused') return { result: 'refused', problem: inWordsOf(outcome.problem, body, facts.holder) };

  // Another intent has made it meanwhile: then this one is a change of that endpoint.
  if (facts.current) return giveBack(versionConflict(body, facts.current) ?? changed(facts.current, body));
  const problem = groundless(scope, body, facts);
  if (problem) return giveBack(problem);
  const network = facts.network as Document<'network'>;
  const address = leasedAddress(outcome, note.endpoint);
  if (network.id !== note.network || address === undefined || !network.spec.subnets.some((s) => contains(s, address))) {
    return giveBack(refuse('network-changed', 'spec.network', `Network ${pathOf(network)} changed while the endpoint got its address.`, 'Apply the endpoint again.'));
  }
  const status = { address, mac: macOf(parseIpv4(address) ?? 0, network.status.vni), lease: note.endpoint };
  return accept(newborn('endpoint', scope, body.name, body.spec, { id: note.endpoint, parent: network.id, status }));
}

const answers = (outcome: Outcome | undefined, intent: string): outcome is Outcome => outcome?.intent === intent && outcome.service === 'ipam';
const contains = (subnet: string, address: string): boolean => {
  const range = parsePrefix(subnet);
  return range !== undefined && prefixContains(range, parseIpv4(address) ?? -1);
};

/** The address is the lease's name, and so the last part of its path. */
function leasedAddress(outcome: Extract<Outcome, { result: 'accepted' }>, lease: string): string | undefined {
  const path = outcome.changes.find((change) => change.kind === 'lease' && change.id === lease)?.path;
  const address = path?.split('/').at(-1);
  return address !== undefined && parseIpv4(address) !== undefined ? address : undefined;
}

/** ipam knows addresses, topology knows endpoints: together they can say who holds it. */
function inWordsOf(problem: Problem, body: ApplyBody<'endpoint'>, holder: Document<'endpoint'> | undefined): Problem {
  if (problem.code !== 'address-taken') return problem;
  if (holder) return { ...problem, reason: `${body.spec.address} is the address of endpoint ${pathOf(holder)}.` };
  return {
    ...problem, code: 'address-quarantined',
    reason: `${body.spec.address} belonged to an endpoint whose removal not every node has confirmed yet, or is just being given to another.`,
    fix: 'Try again shortly ("osier nodes" shows which node is behind), choose another address, or leave the field out.',
  };
}

