import { type Interest, interestSchema } from '@osier/contracts/coordination';
import type { AnyDocument, Document, Scope } from '@osier/contracts/document';
import type { Kind } from '@osier/contracts/kinds';
import { barrierSubject, parseStateSubject } from '@osier/contracts/subjects';
import type { Departed } from '@osier/domain/topology/quarantine';
import type { NetworkRef } from '@osier/domain/topology/interest';

export interface Told { readonly interest: Interest; readonly revision: number }
interface EndpointRow extends Scope { readonly id: string; readonly node: string; readonly network: string }
/** The name of the node for which it may matter, and whether an address may be free now. */
interface Effect { readonly touched?: string; readonly departed: boolean }
export interface DepartedEndpoint extends Departed, Scope {}

/** Kinds whose documents are looked into; of the others only the revision counts. */
const readable: ReadonlySet<string> = new Set<Kind>(['node', 'endpoint', 'lease']);

/**
 * What the coordinator needs of the state, kept from STATE itself, so that it is the same after any restart: which node has endpoints in which
 * network, what each node was last told, which addresses are still held by endpoints that are gone. Applying something older or the same again changes nothing.
 */
export class View {
  readonly nodes = new Map<string, { readonly document: Document<'node'>; readonly revision: number }>();
  /** By the node's id. */
  readonly told = new Map<string, Told>();
  /** Revisions at which nodes were removed. */
  readonly removals = new Map<string, number>();
  /** Everything that nodes can hear of, by subject: the revision it has now. */
  readonly revisions = new Map<string, number>();
  readonly #named = new Map<string, Document<'node'>>();
  readonly #endpoints = new Map<string, EndpointRow>();
  readonly #byNode = new Map<string, Set<string>>();
  readonly #departed = new Map<string, DepartedEndpoint>();
  readonly #leases = new Set<string>();
  /** Up to here everything has been read from STATE. */
  sequence = 0;
  readonly #waiting = new Set<{ readonly sequence: number; readonly done: () => void }>();

  /** Applies what is newer than what is known. `body` is asked for only where something in it counts. */
  apply(subject: string, revision: number, body: () => unknown): Effect {
    const nothing: Effect = { departed: false };
    const parsed = parseStateSubject(subject);
    if (!parsed || subject === barrierSubject) return nothing;
    if ((this.revisions.get(subject) ?? 0) >= revision) return nothing;
    this.revisions.set(subject, revision);
    if (parsed.noun === 'interest') {
      const interest = interestSchema.parse(body());
      this.told.set(parsed.id, { interest, revision });
      return { touched: interest.node, departed: false };
    }
    if (!readable.has(parsed.noun)) return nothing;
    const document = body() as AnyDocument;
    if (document.kind === 'node') return this.#node(document, revision);
    if (document.kind === 'endpoint') return this.#endpoint(document, revision);
    if (document.kind === 'lease') {
      if (document.phase === 'active') this.#leases.add(document.id);
      else {
        this.#leases.delete(document.id);
        this.#departed.delete(document.id);
      }
      return { departed: this.#departed.has(document.id) };
    }
    return nothing;
  }
  #node(document: Document<'node'>, revision: number): Effect {
    if (document.phase === 'active') {
      this.nodes.set(document.id, { document, revision });
      this.#named.set(document.name, document);
    } else {
      if (this.#named.get(document.name)?.id === document.id) this.#named.delete(document.name);
      this.nodes.delete(document.id);
      this.told.delete(document.id);
      this.removals.set(document.id, revision);
    }
    return { touched: document.name, departed: document.phase === 'deleted' };
  }
  #endpoint(document: Document<'endpoint'>, revision: number): Effect {
    const { id, domain, project, environment, parent } = document;
    const node = document.spec.node;
    const rows = this.#byNode.get(node) ?? new Set();
    this.#byNode.set(node, rows);
    if (document.phase === 'active') {
      this.#endpoints.set(id, { id, domain, project, environment, node, network: parent });
      rows.add(id);
      return { touched: node, departed: false };
    }
    this.#endpoints.delete(id);
    rows.delete(id);
    this.#departed.set(id, { endpoint: id, revision, domain, project, environment });
    return { touched: node, departed: true };
  }

  /** The interest document of this subject is not in CHANGES (any more). */
  untold(subject: string): void {
    const id = parseStateSubject(subject)?.id ?? '';
    const told = this.told.get(id);
    if (told) this.told.set(id, { ...told, revision: 0 });
  }

  /** STATE has been read up to here. */
  reach(sequence: number): void {
    this.sequence = Math.max(this.sequence, sequence);
    for (const waiting of this.#waiting) {
      if (waiting.sequence > this.sequence) continue;
      this.#waiting.delete(waiting);
      waiting.done();
    }
  }
  /** Whether it has been read up to there in time. */
  async reached(sequence: number, withinMs: number): Promise<boolean> {
    if (this.sequence >= sequence) return true;
    return new Promise((resolve) => {
      const entry = { sequence, done: () => finish(true) };
      const finish = (yes: boolean): void => {
        clearTimeout(timer);
        this.#waiting.delete(entry);
        resolve(yes);
      };
      const timer = setTimeout(() => finish(false), withinMs);
      this.#waiting.add(entry);
    });
  }

  nodeNamed(name: string): Document<'node'> | undefined {
    return this.#named.get(name);
  }
  endpointsOn(node: string): number {
    return this.#byNode.get(node)?.size ?? 0;
  }
  networksOn(node: string): NetworkRef[] {
    const found = new Map<string, NetworkRef>();
    for (const id of this.#byNode.get(node) ?? []) {
      const row = this.#endpoints.get(id);
      if (row) found.set(row.network, { domain: row.domain, project: row.project, environment: row.environment, id: row.network });
    }
    return [...found.values()];
  }
  /** Endpoints that are gone and whose lease is not released. */
  departed(): DepartedEndpoint[] {
    return [...this.#departed.values()].filter((d) => this.#leases.has(d.endpoint));
  }
}
