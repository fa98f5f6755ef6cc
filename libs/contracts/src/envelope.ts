/**
 * Message headers: CloudEvents 1.0 attributes in the NATS protocol binding (`ce-` prefix, binary mode: the body is the data),
 * and W3C trace context. Nothing in a header is believed about identity: who speaks is the last token of an intent's subject.
 */
export const headers = {
  id: 'ce-id',
  source: 'ce-source',
  type: 'ce-type',
  time: 'ce-time',
  specversion: 'ce-specversion',
  contentType: 'content-type',
  traceparent: 'traceparent',
  tracestate: 'tracestate',
  /** The id of the dead letter that this intent is the repeat of. */
  retryOf: 'osier-retry-of',
  /** De-duplication of JetStream itself, inside the stream's window. */
  messageId: 'Nats-Msg-Id',
  expectedLastSubjectSequence: 'Nats-Expected-Last-Subject-Sequence',
} as const;

export const eventType = (noun: string, verb: string): string => `io.osier.${noun}.${verb}`;

const validId = /^(?!seq-)[A-Za-z0-9_-]{1,128}$/;
/** Whether an intent may have this id: a token, and not of the form that intents without one are called by. */
export const isIntentId = (id: string): boolean => validId.test(id);
/** An intent's id: its `ce-id` where it may have it, else `seq-<stream sequence>`, so that nobody can take the id of another. */
export const intentIdOf = (ceId: string | undefined, sequence: number): string =>
  ceId !== undefined && isIntentId(ceId) ? ceId : `seq-${sequence}`;
