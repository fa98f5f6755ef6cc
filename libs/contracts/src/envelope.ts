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
  /** De-duplication of JetStream itself, inside the stream's window. */
  messageId: 'Nats-Msg-Id',
  expectedLastSubjectSequence: 'Nats-Expected-Last-Subject-Sequence',
} as const;

export const eventType = (noun: string, verb: string): string => `io.osier.${noun}.${verb}`;

const validId = /^[A-Za-z0-9_-]{1,128}$/;
/** An intent's id: its `ce-id` where that is a valid token, else `seq-<stream sequence>`. */
export const intentIdOf = (ceId: string | undefined, sequence: number): string =>
  ceId !== undefined && validId.test(ceId) ? ceId : `seq-${sequence}`;
