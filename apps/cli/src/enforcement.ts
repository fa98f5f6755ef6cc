import type { Enforcement } from '@osier/contracts/queries';
import type { Change } from './change.ts';
import { type Client, failureOf } from './client.ts';

/** Milliseconds of one question, so that whoever watches sees how far it got. */
const slice = 1000;
const perRequest = 10_000;

/** One answer for the changes of several requests. */
function merge(answers: readonly Enforcement[]): Enforcement {
  const nodes = new Map<string, Enforcement['nodes'][number]>();
  for (const node of answers.flatMap((answer) => answer.nodes)) {
    const before = nodes.get(node.node);
    if (before === undefined || !node.enforced) nodes.set(node.node, node);
  }
  const state = answers.some((a) => a.state === 'waiting') ? 'waiting' : answers.some((a) => a.state === 'enforced') ? 'enforced' : 'none';
  return { state, revision: Math.max(0, ...answers.map((a) => a.revision)), nodes: [...nodes.values()].sort((a, b) => a.node.localeCompare(b.node)) };
}

/** Waits until every node that the changes concern has confirmed them; after `timeoutMs`, how far it got. */
export async function awaitEnforcement(client: Client, changes: readonly Change[], timeoutMs: number, progress: (state: Enforcement) => void): Promise<Enforcement> {
  const until = performance.now() + timeoutMs;
  const parts: Change[][] = [];
  for (let at = 0; at < changes.length; at += perRequest) parts.push(changes.slice(at, at + perRequest));
  for (;;) {
    const answers: Enforcement[] = [];
    for (const part of parts) {
      const left = Math.max(0, Math.min(slice, until - performance.now()));
      const reply = await client.call('POST', `/v1/enforcement?timeout=${Math.round(left)}ms`, { body: { changes: part }, timeoutMs: slice + 20_000 });
      if (reply.status !== 200) throw failureOf(reply, client.server);
      answers.push(reply.body as Enforcement);
    }
    const state = merge(answers);
    progress(state);
    if (state.state !== 'waiting' || performance.now() >= until) return state;
  }
}

const names = (nodes: Enforcement['nodes']): string => nodes.map((node) => node.node).join(', ');

/** Which nodes have confirmed, which not and why. */
export function enforcementText(state: Enforcement, timeoutMs: number): string {
  if (state.state === 'none') return `no node is concerned by revision ${state.revision}: there is nothing to enforce`;
  const done = state.nodes.filter((node) => node.enforced);
  const late = state.nodes.filter((node) => !node.enforced);
  const count = `${done.length} of ${state.nodes.length} nodes`;
  if (state.state === 'enforced') return `enforced: revision ${state.revision} is confirmed by ${count} (${names(done)})`;
  return [
    `not enforced within ${timeoutMs / 1000} s: revision ${state.revision} is confirmed by ${count}${done.length > 0 ? ` (${names(done)})` : ''}`,
    ...late.map((node) => `  ${node.node}: ${node.why ?? `has confirmed revision ${node.revision}`}`),
  ].join('\n');
}
