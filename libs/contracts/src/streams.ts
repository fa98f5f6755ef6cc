import { catalogue } from './catalogue.ts';
import { intentPattern } from './subjects.ts';

/** The streams of the platform. INTENTS' subjects come from the catalogue: an unknown kind is stored by nobody, so it is never acknowledged. */
const day = 24 * 60 * 60 * 1000;
export interface StreamDeclaration {
  readonly name: string;
  readonly subjects: readonly string[];
  /** Milliseconds; 0 keeps for ever. */
  readonly maxAge: number;
  readonly maxPerSubject?: number;
  readonly mirrorOf?: string;
  readonly maxMessageBytes?: number;
  readonly maxBytes?: number;
  /** The server refuses to delete or purge what is in it, whoever asks. */
  readonly appendOnly?: boolean;
}
export const streams = {
  INTENTS: { name: 'INTENTS', subjects: catalogue.map((i) => intentPattern(i.noun, i.verb)), maxAge: 30 * day, appendOnly: true },
  /**
   * Bounded by versions of each subject, not by age: a mirror checks the expected sequence of each message again, so the last message of every subject has
   * to be in CHANGES as long as it is in STATE, or the next one would be accepted by the one and dropped by the other. And no version may go before STATE has it:
   * services publish nothing more while STATE is a quarter of these behind.
   */
  CHANGES: { name: 'CHANGES', subjects: ['osier.state.>'], maxAge: 0, maxPerSubject: 4_096 },
  STATE: { name: 'STATE', subjects: [], maxAge: 0, maxPerSubject: 1, mirrorOf: 'CHANGES' },
  OUTCOMES: { name: 'OUTCOMES', subjects: ['osier.outcome.>'], maxAge: 30 * day, appendOnly: true },
  DEAD: { name: 'DEAD', subjects: ['osier.dead.*.*.*'], maxAge: 90 * day },
  // A limit for each subject, which is a credential: whoever knocks all day pushes out what is said of himself, and of no other.
  AUDIT: { name: 'AUDIT', subjects: ['osier.audit.*'], maxAge: 90 * day, maxPerSubject: 20_000, appendOnly: true },
  RECEIPTS: { name: 'RECEIPTS', subjects: ['osier.receipt.*'], maxAge: 0, maxPerSubject: 1 },
  FLOWS: { name: 'FLOWS', subjects: ['osier.flow.>'], maxAge: day, maxBytes: 512 * 1024 * 1024 },
  OBSERVATIONS: { name: 'OBSERVATIONS', subjects: ['osier.observation.>'], maxAge: day, maxBytes: 128 * 1024 * 1024 },
} as const satisfies Record<string, StreamDeclaration>;
export type StreamName = keyof typeof streams;
