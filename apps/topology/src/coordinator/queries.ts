import type { Document } from '@osier/contracts/document';
import { none } from '@osier/contracts/names';
import type { NodeView } from '@osier/contracts/queries';
import { parseStateSubject } from '@osier/contracts/subjects';
import { coverage, interestOf } from '@osier/domain/topology/interest';
import { type Claim, enforcementOf, silentAfterMs, type Standing } from '@osier/domain/topology/enforcement';
import type { QueryAnswer } from '@osier/runtime/companion';
import type { Heartbeat } from './barrier.ts';
import type { Received, Receipts } from './receipts.ts';
import type { View } from './view.ts';

export interface QueryDeps { readonly view: View; readonly receipts: Receipts; readonly heartbeat: Heartbeat; now(): number }

/** Milliseconds to wait until the coordinator itself has read what it is asked about. */
const readWithinMs = 2_000;
/** Revisions that a node may be ahead of what has been read here; beyond it speaks of what does not exist. */
const plausibleLead = 10_000;
/** Bytes of the receipts in one answer. The largest are left out of what goes beyond. */
const receiptBytes = 500_000;

const isAhead = (view: View, receipt: Received | undefined): boolean => (receipt?.revision ?? 0) > view.sequence + plausibleLead;

/** What each node was told and has confirmed: what decides whether it may still hold something. */
export const claims = ({ view, receipts }: Pick<QueryDeps, 'view' | 'receipts'>): (Claim & { readonly document: Document<'node'> })[] =>
  [...view.nodes.values()].map(({ document }) => {
    const told = view.told.get(document.id);
    const receipt = receipts.of(document.name);
    return { document, receipt, ahead: isAhead(view, receipt), ...(told ? { told: { filters: told.interest.filters, revision: told.revision } } : {}) };
  });
const standings = (deps: QueryDeps): Standing[] =>
  claims(deps).map(({ document, ...claim }) => ({ ...claim, name: document.name, wanted: interestOf(document.id, deps.view.networksOn(document.name)) }));

/** Which nodes have confirmed. A tenant's question is answered for what is in its scope only. Whoever asks waits, so the next barrier comes soon. */
export const enforcementQuery = (deps: QueryDeps): QueryAnswer<'topology.enforcement'> => async ({ changes }, scope) => {
  const mine = changes.filter((c) => within(scope, c.subject));
  const revision = Math.max(0, ...mine.map((c) => c.revision));
  const read = await deps.view.reached(revision, readWithinMs);
  const answer = enforcementOf(mine, standings(deps), { incarnation: deps.heartbeat.incarnation, now: deps.now() });
  if (answer.state !== 'enforced') deps.heartbeat.nudge();
  return read ? answer : { ...answer, state: 'waiting' };
};

function within(scope: { domain: string; project: string }, subject: string): boolean {
  const at = parseStateSubject(subject);
  return at !== undefined && (scope.domain === none || scope.domain === at.domain) && (scope.project === none || scope.project === at.project);
}

export const nodesQuery = (deps: QueryDeps): QueryAnswer<'topology.nodes'> => async () => ({
  nodes: fitting([...deps.view.nodes.values()].map(({ document }) => nodeView(deps, document.id))).sort((a, b) => (a.name < b.name ? -1 : 1)),
});

/** What a node says at length must not keep what all of them say from being told. */
function fitting(views: readonly NodeView[]): NodeView[] {
  const sized = views.map((view) => ({ view, bytes: view.receipt === undefined ? 0 : Buffer.byteLength(JSON.stringify(view.receipt)) })).sort((a, b) => a.bytes - b.bytes);
  let total = 0;
  return sized.map(({ view, bytes }) => {
    total += bytes;
    const { receipt: _, ...rest } = view;
    return total <= receiptBytes ? view : rest;
  });
}

function nodeView({ view, receipts, now }: QueryDeps, id: string): NodeView {
  const { document } = view.nodes.get(id) as NonNullable<ReturnType<View['nodes']['get']>>;
  const receipt = receipts.of(document.name);
  const concerns = coverage([...interestOf(id, view.networksOn(document.name)), ...(view.told.get(id)?.interest.filters ?? [])]);
  const revision = receipt?.revision ?? 0;
  const confirmed = isAhead(view, receipt) ? 0 : revision;
  const behind = [...view.revisions].filter(([subject, at]) => at > confirmed && concerns(subject)).length;
  const { receivedAt, ...said } = receipt ?? { receivedAt: 0 };
  const state = !receipt ? 'never-seen' : now() - receivedAt > silentAfterMs ? 'silent' : behind > 0 ? 'behind' : 'ready';
  return {
    id, name: document.name, tunnelEndpoint: document.spec.tunnelEndpoint, revision, behind, endpoints: view.endpointsOn(document.name), state,
    ...(receipt ? { lastReceiptAt: new Date(receivedAt).toISOString(), receipt: said as NonNullable<NodeView['receipt']> } : {}),
  };
}
