import { z } from 'zod';
import { idSchema, ipv4Schema, nameSchema, none, timeSchema } from './names.ts';

/** "Everything up to `revision` that concerns this node is in its kernel, read back at `readBackAt`, except what is pending." */
export const receiptSchema = z.object({
  node: z.string(),
  incarnation: z.string().meta({ description: 'Of the CHANGES stream that the revision counts in' }),
  revision: z.int().min(0),
  epoch: z.int().min(0).meta({ description: "The kernel's world number in force" }),
  digest: z.string().meta({ description: 'SHA-256 of the meaning of what was read back: addresses with their rules, not node-local numbers' }),
  readBackAt: timeSchema,
  endpoints: z.array(z.object({ id: idSchema, version: z.int() })).meta({ description: "This node's endpoints that are programmed, with the version of each" }),
  pending: z.array(z.object({ kind: z.string(), id: z.string(), path: z.string(), code: z.string(), reason: z.string() }))
    .meta({ description: 'What could not be put into force, and why' }),
  counts: z.object({ addresses: z.int(), identities: z.int(), policyEntries: z.int(), rules: z.int() }),
  traceparent: z.string().optional(),
});
export type Receipt = z.infer<typeof receiptSchema>;

/** As `enum drop_reason` of libs/dataplane/bpf/records.h; a test of the node agent holds the two lists together. */
export const dropReasons = [
  'none', 'policy_denied', 'policy_missing', 'spoofed_source', 'spoofed_tunnel', 'unknown_endpoint', 'inactive_endpoint', 'unknown_peer', 'unknown_destination',
  'not_local', 'stale_endpoint', 'no_connection', 'no_flow', 'ttl_exceeded', 'fragment', 'ipv6', 'ethertype', 'protocol', 'icmp_type', 'malformed',
  'arp_ignored', 'sealed', 'conntrack_full', 'not_configured', 'internal',
] as const;
export type DropReason = (typeof dropReasons)[number];

const flowSide = z.object({
  address: ipv4Schema,
  port: z.int().min(0).max(65535)
    .meta({ description: '0: none. The protocol has no ports; or, at the source, the record tells of further denials (`packets.forward` is 0), which are counted together over all source ports' }),
  endpoint: z.string().optional().meta({ description: "The endpoint's path, where the node knows it" }),
  tags: z.record(z.string(), z.string()).optional(),
});
export const protocolNames = ['TCP', 'UDP', 'SCTP', 'ICMP', 'other'] as const;
const decision = z.object({
  direction: z.enum(['ingress', 'egress']),
  policy: z.string().meta({ description: 'Path of the policy, or "default"' }),
  policyId: z.string(),
  rule: z.string().meta({ description: 'The rule by name or number in its policy, or default-allow, default-deny' }),
});
const sparedSchema = z.object({ until: timeSchema.optional().meta({ description: 'Absent: until it ends by itself' }) });
/** One conversation as one node saw it start, end, or be denied. */
export const flowSchema = z.object({
  event: z.enum(['start', 'end', 'denied']),
  endedBy: z.enum(['fin', 'rst', 'timeout', 'policy', 'removed', 'replaced']).optional()
    .meta({ description: 'fin: both sides were done (SCTP: a SHUTDOWN COMPLETE). rst: one side broke it off (SCTP: an ABORT)' }),
  at: timeSchema,
  environment: z.string(),
  network: z.string(),
  source: flowSide, destination: flowSide,
  protocol: z.enum(protocolNames),
  verdict: z.enum(['allowed', 'denied']),
  reason: z.enum(dropReasons),
  decisions: z.array(decision).meta({ description: 'The rule of each direction that this node decided' }),
  shadow: z.object({ verdict: z.enum(['allowed', 'denied']), egress: decision.optional(), ingress: decision.optional() }).optional()
    .meta({ description: 'What would have been decided under rules that are not in force, where an endpoint on this node has such: it changed nothing. A direction is told that had such rules and was asked; where the shadow denies, the last one told did' }),
  spared: sparedSchema.optional()
    .meta({ description: 'The rules told here deny the connection since a change, and their policy lets it go on (liveConnections). Told by a record of its own when that begins: denied, with the verdict allowed; and with its end' }),
  revision: z.int().meta({ description: 'In force when it was decided' }),
  packets: z.object({ forward: z.int(), reply: z.int() }),
  bytes: z.object({ forward: z.int(), reply: z.int() }),
  repeats: z.int().min(0).meta({ description: 'Further denials since the last record from the same source address to the same destination address, port and protocol, for the same reason: over all source ports, since each new attempt has another' }),
});
export type Flow = z.infer<typeof flowSchema>;

/** `lost`: flow records that this node could not report, those included that its kernel dropped while no agent was reading, so that a gap is never mistaken for silence. Counts up; begins again with the node. */
export const flowBatchSchema = z.object({ node: z.string(), lost: z.int().min(0), flows: z.array(flowSchema) });
export type FlowBatch = z.infer<typeof flowBatchSchema>;

const connectionSide = flowSide.omit({ tags: true }).extend({ port: z.int().min(0).max(65535).meta({ description: 'ICMP: the id of its echo at the source, type << 8 | code at the destination' }) });
export const connectionStates = ['new', 'established', 'closing'] as const;
const scopeToken = z.union([nameSchema, z.literal(none)]);
/** A conversation that a kernel holds now, in the direction of whoever began it. */
export const connectionSchema = z.object({
  domain: nameSchema, project: nameSchema, environment: nameSchema, network: z.string(),
  source: connectionSide, destination: connectionSide,
  protocol: z.enum(protocolNames),
  state: z.enum(connectionStates).meta({ description: 'new: nothing came back yet. closing: one side is done, and the other may go on' }),
  since: timeSchema, lastPacketAt: timeSchema,
  packets: z.object({ forward: z.int(), reply: z.int() }),
  bytes: z.object({ forward: z.int(), reply: z.int() }),
  decisions: z.array(decision).meta({ description: 'The rule of each direction that decided it last' }),
  spared: sparedSchema.optional().meta({ description: 'The rules told here deny it since a change, and their policy lets it go on (liveConnections)' }),
  revision: z.int().meta({ description: 'In force when it was judged last' }),
});
export type Connection = z.infer<typeof connectionSchema>;

/** What the door asks of a node: `_` means every one. */
export const connectionsQuestionSchema = z.object({
  id: idSchema, domain: scopeToken, project: scopeToken, environment: scopeToken,
  most: z.int().min(1).meta({ description: 'How many connections the answer may tell' }),
});
export type ConnectionsQuestion = z.infer<typeof connectionsQuestionSchema>;
/** A node's answer, in parts. */
export const connectionsPartSchema = z.object({
  id: idSchema.meta({ description: 'Of the question' }),
  node: z.string(),
  part: z.int().min(0).meta({ description: 'Counts from 0; a node whose parts have a gap has not answered' }),
  last: z.boolean(),
  connections: z.array(connectionSchema),
  notTold: z.int().min(0).meta({ description: 'In the last part: how many there are beyond those that the answer may tell. One over two nodes is counted by the node of its source, whether or not the other tells it' }),
});
export type ConnectionsPart = z.infer<typeof connectionsPartSchema>;

/** What the door makes of all answers. */
export const connectionsSchema = z.object({
  connections: z.array(connectionSchema.extend({
    nodes: z.array(z.string()).meta({ description: 'Whose kernels hold it' }),
    notAt: z.array(z.string()).optional().meta({ description: 'Nodes of an end of it that have told all of theirs and do not hold it: it is denied there, or was cut' }),
  })),
  nodes: z.array(z.string()).meta({ description: 'Who was asked: the nodes that hold an endpoint of the scope' }),
  missing: z.array(z.string()).meta({ description: 'Who of them did not answer in time, or with what is no answer: what only they hold is not here' }),
  notTold: z.int().min(0).meta({ description: 'How many there are at the most beyond those that an answer may tell; 0: all are here' }),
});
export type Connections = z.infer<typeof connectionsSchema>;

export const observationSchema = z.object({
  node: z.string(), at: timeSchema,
  topic: z.enum(['health', 'drift', 'repair', 'capacity', 'drops']),
  severity: z.enum(['info', 'warning', 'error']),
  message: z.string(),
  detail: z.record(z.string(), z.unknown()).optional(),
});
export type Observation = z.infer<typeof observationSchema>;
