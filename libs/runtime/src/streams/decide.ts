import type { StreamState } from '@osier/bus/bus';

/** What a database remembers of the streams it published to. */
export interface Remembered {
  /** Of CHANGES; absent in a database that never saw one. */
  readonly incarnation?: string | undefined;
  /** The highest sequence of CHANGES that was ever seen, by whatever way. */
  readonly highest: number;
  /** The last own message: its subject, and where it went. */
  readonly witness?: Witness | undefined;
  /** Incarnation of STATE. */
  readonly state?: string | undefined;
}
export interface Witness { readonly subject: string; readonly sequence: number }
/** What is there now. */
export interface Found {
  readonly changes?: StreamState | undefined;
  readonly state?: StreamState | undefined;
  /** Sequence of the last message of the witness' subject in CHANGES; absent where there is none. */
  readonly witnessAt?: number | undefined;
  /** Milliseconds for which STATE has been behind CHANGES without getting on. */
  readonly stuckMs: number;
}
export type Verdict =
  | { readonly do: 'go-on' }
  /** The streams are new to this database, and nothing speaks against them. */
  | { readonly do: 'adopt' }
  /** CHANGES is gone or has lost messages: make it anew, above all that is known, and STATE with it. */
  | { readonly do: 'rebuild'; readonly because: string }
  /** Somebody has made CHANGES anew, above all that this database knows: publish everything to it. */
  | { readonly do: 'republish'; readonly because: string }
  /** Only STATE is gone or wrong: make the mirror anew. */
  | { readonly do: 'mirror'; readonly because: string }
  /** STATE is another one than before: look whether it holds what the database holds. */
  | { readonly do: 'compare'; readonly because: string };

/**
 * Milliseconds: a mirror under load is behind, and gets on. In a cluster it stands still when a server dies: an election takes up to nine seconds, and a mirror looks every
 * ten whether it has heard nothing for ten (`sourceHealthCheckInterval` in the server's source, 2.10).
 */
export const stuckAfterMs = { single: 5_000, replicated: 45_000 } as const;
/** Milliseconds after which another server of a cluster is to lead a mirror that does not get on: it then begins at once. */
export const leadElsewhereAfterMs = 3_000;
export const leadElsewhereEveryMs = 10_000;

/** What to do about the streams. Lag is no evidence: a mirror whose origin was made anew says that it has none. */
export function decide(remembered: Remembered, found: Found): Verdict {
  const { changes, state } = found;
  if (remembered.incarnation === undefined) {
    if (!changes) return { do: 'rebuild', because: 'there is no stream CHANGES' };
    return state ? { do: 'adopt' } : { do: 'mirror', because: 'there is no stream STATE' };
  }
  if (!changes) return { do: 'rebuild', because: 'CHANGES is gone' };
  if (changes.lastSequence < remembered.highest) {
    return { do: 'rebuild', because: `CHANGES ends at ${changes.lastSequence}, and revision ${remembered.highest} has been seen: it was set back` };
  }
  if (changes.incarnation !== remembered.incarnation) {
    if (changes.firstSequence <= remembered.highest) {
      return { do: 'rebuild', because: `CHANGES was made anew and begins at ${changes.firstSequence}, though revision ${remembered.highest} has been given before` };
    }
    return { do: 'republish', because: 'CHANGES was made anew' };
  }
  const { witness } = remembered;
  if (witness && (found.witnessAt ?? 0) < witness.sequence) {
    return { do: 'rebuild', because: `CHANGES has lost what was published at revision ${witness.sequence}: it was set back or emptied` };
  }
  return whole(decideMirror(remembered, changes, found), changes);
}

function decideMirror(remembered: Remembered, changes: StreamState, { state, stuckMs }: Found): Verdict {
  if (!state) return { do: 'mirror', because: 'STATE is gone' };
  if (state.lastSequence > changes.lastSequence) return { do: 'mirror', because: `STATE ends at ${state.lastSequence}, beyond CHANGES at ${changes.lastSequence}: it mirrors another stream` };
  if (state.lastSequence < changes.lastSequence && stuckMs >= (state.replicas > 1 ? stuckAfterMs.replicated : stuckAfterMs.single)) {
    return { do: 'mirror', because: `STATE stays at ${state.lastSequence} while CHANGES is at ${changes.lastSequence}: it does not mirror any more` };
  }
  if (remembered.state !== undefined && state.incarnation !== remembered.state) return { do: 'compare', because: 'STATE was made anew' };
  return { do: 'go-on' };
}

/**
 * A mirror can be made anew only from a stream that has every message it ever had: each says which one it follows on its subject, and a mirror that does not
 * have that one drops it. From anything less, both are made anew.
 */
const whole = (verdict: Verdict, changes: StreamState): Verdict =>
  verdict.do !== 'mirror' || isUntouched(changes) ? verdict : { do: 'rebuild', because: `${verdict.because}; and CHANGES no longer has all that a mirror would need` };
const isUntouched = ({ firstSequence, lastSequence, messages }: StreamState): boolean =>
  (firstSequence - 1) % million === 0 && messages === lastSequence - firstSequence + 1;

/** Sequences that may have been given and that no database knows: those since the last look of the service that looked last. */
const unknownSequences = 100_000;
const million = 1_000_000;

/**
 * The sequence after which a stream is to begin anew: the next full million, with room for what was given since anybody looked. So numbers never run
 * backwards for a reader, whichever service makes the stream, and who looks at a revision sees how often the streams were rebuilt.
 */
export const beginAfter = (highest: number): number => (Math.floor((highest + unknownSequences) / million) + 1) * million;
