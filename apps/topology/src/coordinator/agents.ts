import { type Bus, type ConsumerDeclaration, WrongLastSequence } from '@osier/bus/bus';
import { type Interest, interestSubject, joinConsumer, nodeConsumer } from '@osier/contracts/coordination';
import type { Document } from '@osier/contracts/document';
import { added, compact, grown, interestOf } from '@osier/domain/topology/interest';
import { same } from '@osier/domain/entity';
import type { Log } from '@osier/telemetry/log';
import { json } from './follow.ts';
import type { Told, View } from './view.ts';
import type { Receipts } from './receipts.ts';

/** Milliseconds. A hello of a session that was answered longer ago than this was not heard: it is answered anew. */
const answerHoldsMs = 5_000;
/** A node begins anew so many times at once, then once in so many milliseconds: each time takes the servers' work and a place in CHANGES. */
const beginnings = { atOnce: 5, everyMs: 1_000 };

export interface AgentsDeps { readonly bus: Bus; readonly view: View; readonly receipts: Receipts; readonly log: Log; now(): number }

/**
 * Makes what each node is told agree with what its endpoints need: its consumers first, then the interest document that says so.
 * Every step may be repeated, and is, after whatever interrupted it: the document is published last, and only it says that the rest was done.
 */
export class Agents {
  readonly #deps: AgentsDeps;
  /** Sessions that asked, by node name. */
  readonly #hellos = new Map<string, string>();
  readonly #answeredAt = new Map<string, number>();
  /** How often each may still begin, and as of when. */
  readonly #left = new Map<string, { readonly times: number; readonly at: number }>();

  constructor(deps: AgentsDeps) {
    this.#deps = deps;
  }

  hello(node: string, session: string): void {
    this.#hellos.set(node, session);
  }

  /** Brings one node up to date. Throws what the bus throws; then it is to be called again. A hello too many waits for the next hello, or for `repair`. */
  async settle(name: string): Promise<void> {
    const node = this.#deps.view.nodeNamed(name);
    if (!node) return;
    const told = this.#deps.view.told.get(node.id);
    const session = this.#hellos.get(name);
    if (session !== undefined && (session !== told?.interest.session || this.#deps.now() - (this.#answeredAt.get(name) ?? 0) > answerHoldsMs)) {
      if (this.#mayBegin(name)) {
        await this.#begin(node, session, told);
        if (this.#hellos.get(name) === session) this.#hellos.delete(name);
        return;
      }
    } else this.#hellos.delete(name);
    if (told) await this.#grow(node, told);
  }

  /** Makes the consumers of a node again if the server lost them, or their filters. */
  async repair(name: string): Promise<void> {
    const { bus, view, log } = this.#deps;
    if (this.#hellos.has(name)) await this.settle(name);
    const node = view.nodeNamed(name);
    const told = node && view.told.get(node.id);
    if (!told) return;
    const consumer = await bus.consumer('STATE', nodeConsumer(name));
    if (consumer && told.revision > 0 && same(compact(consumer.filters), compact(told.interest.filters))) return;
    log.warn({ node: name }, 'the consumer of a node is missing or has other filters than the node was told: making it anew');
    await this.#fresh(node, told.interest.session, told.interest.filters, told);
  }

  /** After CHANGES was made anew: what nodes were told is not in it, and has to be said again for whoever reads it later. */
  async recall(): Promise<void> {
    const { bus, view } = this.#deps;
    for (const id of view.told.keys()) if (!(await bus.last('CHANGES', interestSubject(id)))) view.untold(interestSubject(id));
  }

  /** What a node that is no more was served with. */
  async forget(name: string): Promise<void> {
    await this.#deps.bus.deleteConsumer('STATE', nodeConsumer(name));
    await this.#deps.bus.deleteConsumer('STATE', joinConsumer(name));
  }

  #mayBegin(name: string): boolean {
    const at = this.#deps.now();
    const before = this.#left.get(name) ?? { times: beginnings.atOnce, at };
    const times = Math.min(beginnings.atOnce, before.times + (at - before.at) / beginnings.everyMs);
    this.#left.set(name, { times: times < 1 ? times : times - 1, at });
    return times >= 1;
  }
  async #begin(node: Document<'node'>, session: string, told: Told | undefined): Promise<void> {
    await this.#fresh(node, session, this.#wanted(node), told);
    this.#deps.log.info({ node: node.name, session }, 'an agent has begun; it is sent all that concerns its node');
  }
  async #fresh(node: Document<'node'>, session: string, filters: readonly string[], told: Told | undefined): Promise<void> {
    await this.forget(node.name);
    await this.#deps.bus.ensureConsumer(nodeConsumer(node.name), declaration(filters));
    await this.#announce(node, told, { session, filters: [...filters] });
  }

  async #grow(node: Document<'node'>, told: Told): Promise<void> {
    const { bus, receipts, log } = this.#deps;
    const before = told.interest.filters;
    const filters = grown(before, this.#wanted(node));
    const fresh = added(before, filters);
    if (fresh.length === 0) return;
    await bus.ensureConsumer(nodeConsumer(node.name), declaration(filters));
    const confirmed = (receipts.of(node.name)?.revision ?? 0) >= told.revision;
    const join = compact([...fresh, ...(confirmed ? [] : (told.interest.join?.filters ?? []))]);
    await bus.deleteConsumer('STATE', joinConsumer(node.name));
    await bus.ensureConsumer(joinConsumer(node.name), declaration([...join, interestSubject(node.id)]));
    await this.#announce(node, told, { session: told.interest.session, filters, join });
    log.info({ node: node.name, filters: filters.length, added: fresh.length }, 'a node is told of more');
  }

  /** Guarded by the last document's sequence, so that of two coordinators one must begin again from what the other said. */
  async #announce(node: Document<'node'>, told: Told | undefined, what: { session: string; filters: string[]; join?: string[] }): Promise<void> {
    const { bus, view, now } = this.#deps;
    const generation = (told?.interest.generation ?? 0) + 1;
    const interest: Interest = {
      kind: 'interest', node: node.name, session: what.session, generation, filters: what.filters,
      ...(what.join ? { join: { generation, filters: what.join } } : {}),
    };
    const subject = interestSubject(node.id);
    try {
      const { sequence } = await bus.publish(subject, new TextEncoder().encode(JSON.stringify(interest)), { expectedLastSubjectSequence: told?.revision ?? 0, headers: { 'content-type': 'application/json' } });
      view.apply(subject, sequence, () => interest);
      this.#answeredAt.set(node.name, now());
    } catch (error) {
      if (error instanceof WrongLastSequence) await this.#reread(subject);
      throw error;
    }
  }
  async #reread(subject: string): Promise<void> {
    const last = await this.#deps.bus.last('CHANGES', subject);
    if (last) this.#deps.view.apply(subject, last.sequence, () => json(last));
    // Lost with the stream: the next one is its first.
    else this.#deps.view.untold(subject);
  }

  #wanted(node: Document<'node'>): string[] {
    return interestOf(node.id, this.#deps.view.networksOn(node.name));
  }
}

const declaration = (filters: readonly string[]): ConsumerDeclaration => ({ stream: 'STATE', filters, from: 'last-per-subject', ackPolicy: 'explicit', ackWaitMs: 5_000, maxAckPending: 1_000 });
