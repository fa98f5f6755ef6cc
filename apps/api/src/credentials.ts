import { setTimeout as sleep } from 'node:timers/promises';
import { type Document, documentSchema } from '@osier/contracts/document';
import { none } from '@osier/contracts/names';
import { statePattern } from '@osier/contracts/subjects';
import type { ApiBus } from './context.ts';
import { type Principal, principalOf } from './principal.ts';

type CredentialDocument = Document<'credential'> | Document<'platform-credential'>;
export interface KeyHolder { readonly principal: Principal; readonly expiresAt: number }
export interface Credentials {
  /** Whose key it is, as `path` says; undefined where there is no such credential, it is no more, or it has no such key. */
  holder(path: string, publicKey: string): KeyHolder | undefined;
  /** Whether all that there is has been read. */
  readonly complete: boolean;
  stop(): void;
}

const kinds = ['credential', 'platform-credential'] as const;
const again = 500;

/** Follows the credentials in STATE. An older document never counts over a newer one, whatever the stream comes back with. */
export function followCredentials(bus: ApiBus, log: (problem: unknown) => void): Credentials {
  const stopped = new AbortController();
  const known = new Map<string, { readonly document: CredentialDocument; readonly sequence: number }>();
  const byPath = new Map<string, CredentialDocument>();
  let complete = false;

  const forget = (document: CredentialDocument): void => {
    const { path } = holderOf(document);
    if (byPath.get(path)?.id === document.id) byPath.delete(path);
  };
  const learn = (data: Uint8Array, sequence: number): void => {
    const body = JSON.parse(new TextDecoder().decode(data)) as CredentialDocument;
    if (!kinds.includes(body.kind)) return;
    const before = known.get(body.id);
    if (before !== undefined && (before.sequence >= sequence || before.document.version > body.version)) return;
    if (!documentSchema(body.kind).safeParse(body).success) {
      // Of a newer version, perhaps: it may say that a key is revoked, so what was known before opens nothing either.
      log(new Error(`credential ${body.id} cannot be read, and opens nothing until it can`));
      if (before !== undefined) forget(before.document);
      return;
    }
    known.set(body.id, { document: body, sequence });
    const { path } = holderOf(body);
    if (body.phase === 'active') byPath.set(path, body);
    else forget(body);
  };
  const follow = async (): Promise<void> => {
    const filters = kinds.map((kind) => statePattern({ noun: kind }));
    for (let from = 0; !stopped.signal.aborted; await sleep(again, undefined, { ref: false })) {
      try {
        const first = from === 0 ? { from: 'last-per-subject' as const } : { from: { sequence: from + 1 } };
        if (!complete) {
          for await (const message of bus.read({ stream: 'STATE', filters, from: 'last-per-subject', signal: stopped.signal })) learn(message.data, (from = message.sequence));
          complete = true;
        }
        for await (const message of bus.read({ stream: 'STATE', filters, ...(from === 0 ? first : { from: { sequence: from + 1 } }), follow: true, signal: stopped.signal })) learn(message.data, (from = message.sequence));
      } catch (error) {
        if (!stopped.signal.aborted) log(error);
      }
    }
  };
  void follow();

  return {
    holder: (path, publicKey) => {
      const document = byPath.get(path);
      const key = document?.spec.keys.find((k) => k.publicKey === publicKey);
      return document === undefined || key === undefined ? undefined : { principal: holderOf(document), expiresAt: Date.parse(key.expiresAt) };
    },
    get complete() {
      return complete;
    },
    stop: () => stopped.abort(),
  };
}

function holderOf(document: CredentialDocument): Principal {
  const { name, domain } = document;
  if (document.kind === 'credential') return principalOf({ domain, project: document.spec.project ?? none }, name, document.spec.role);
  const { node, role = 'viewer' } = document.spec;
  // Whoever only reads the platform sees every tenant, so being a node is said beside it.
  return { ...principalOf({ domain: none, project: none }, name, role), ...(node === undefined ? {} : { node }) };
}
