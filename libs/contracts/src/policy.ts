import { z } from 'zod';
import { limits } from './limits.ts';
import { cidrSchema, nameSchema, portSchema, protocolSchema, selectorSchema, tagKeySchema } from './names.ts';

/**
 * What policies are made of. Which fields may stand together, a schema says badly: `policyProblem` (libs/domain) does, in the same words for services and command line.
 */
export const policyDirections = ['ingress', 'egress'] as const;
const icmpNumber = z.int().min(0).max(255);
const port = {
  protocol: protocolSchema.optional().meta({ description: 'Required, unless a service group is named' }),
  port: portSchema.optional().meta({ description: 'Absent: every port of the protocol' }),
  endPort: portSchema.optional().meta({ description: 'With `port`: the last of a range' }),
  portName: nameSchema.optional().meta({ description: 'Instead of `port`: whatever port the destination declares under this name' }),
  type: icmpNumber.optional().meta({ description: 'Of ICMP: the type, such as 8 (echo request). Absent: every type' }),
  code: icmpNumber.optional().meta({ description: 'With `type`: the code. Absent: every code' }),
};
export const portsSchema = z.array(z.strictObject(port)).min(1).max(limits.itemsPerRule);

const peer = z.strictObject({
  endpoints: selectorSchema.optional().meta({ description: 'Endpoints of the same environment by their tags' }),
  matchSame: z.array(tagKeySchema).min(1).max(limits.sameTagsPerPeer).optional()
    .meta({ description: 'Of these endpoints, those that have each of these tags with the same value as the endpoint that the rule is about' }),
  endpointGroup: nameSchema.optional().meta({ description: 'Name of an endpoint group of the project' }),
  addressGroup: nameSchema.optional().meta({ description: 'Name of an address group of the project' }),
  cidr: cidrSchema.optional().meta({ description: 'Whoever has an address in this prefix' }),
  except: z.array(cidrSchema).min(1).max(limits.itemsPerRule).optional().meta({ description: 'With `cidr`: but not in these' }),
}).meta({ description: 'One of: endpoints (with or without matchSame), endpointGroup, addressGroup, cidr' });
const peers = z.array(peer).min(1).max(limits.itemsPerRule).optional().meta({ description: 'Absent: every endpoint of the environment' });
const portInRule = z.strictObject({ ...port, serviceGroup: nameSchema.optional().meta({ description: 'Instead of all others: name of a service group of the project' }) });
const rule = {
  name: nameSchema.optional(),
  action: z.enum(['Allow', 'Deny', 'Pass']).default('Allow').meta({ description: 'Pass: this tier decides no further, and the next one does' }),
  ports: z.array(portInRule).min(1).max(limits.itemsPerRule).optional().meta({ description: 'Absent: every protocol and port' }),
};
const ingressRule = z.strictObject({ ...rule, from: peers });
const egressRule = z.strictObject({ ...rule, to: peers });
export const rulesSchema = {
  ingress: z.array(ingressRule).max(limits.rulesPerDirection).optional(),
  egress: z.array(egressRule).max(limits.rulesPerDirection).optional(),
};
export type PeerSpec = z.output<typeof peer>;
export type PortSpec = z.output<typeof portInRule>;
/** A rule of one of the two directions. */
export type RuleSpec = z.output<typeof ingressRule> | z.output<typeof egressRule>;

export const policyModes = ['enforced', 'shadow'] as const;
/** What becomes of connections that were allowed and that the policy denies since a change. */
export const liveOptions = ['cut', 'drain', 'keep'] as const;
export const drainSecondsByDefault = 60;
const priority = z.int().min(0).max(65535).default(1000);
/** What a policy of an environment says of a tier's order, a policy of a wider scope says too, but in the order in which it lists its rules. */
export const policyBase = {
  mode: z.enum(policyModes).optional().meta({ description: 'shadow: no packet is decided by it; flow records tell what it would decide, together with the policies in force. Absent: enforced' }),
  appliesTo: selectorSchema.meta({ description: 'The endpoints whose traffic these rules decide' }),
  priority: priority.meta({ description: 'Lower is evaluated first; at equal priority Deny comes before Allow, and Pass last' }),
  liveConnections: z.enum(liveOptions).optional().meta({ description: 'What becomes of a connection that was allowed and that this policy denies since a change. cut: it ends at once. drain: it may go on for drainSeconds. keep: until it ends by itself. New ones are denied at once in any case. Absent: cut' }),
  drainSeconds: z.int().min(1).max(limits.drainSeconds).optional().meta({ description: `With liveConnections: drain. Absent: ${drainSecondsByDefault}` }),
};
const names = z.array(nameSchema).min(1).max(limits.scopesPerPolicy).optional();
/** `below`: the levels below that of the policy. */
export const widePolicy = <const L extends 'domains' | 'projects' | 'environments'>(...below: L[]) => ({
  tier: z.enum(['Admin', 'Baseline']).meta({ description: 'Admin: before the policies of environments, and of narrower scopes. Baseline: after them, where they decide nothing' }),
  scope: z.strictObject(Object.fromEntries(below.map((level) => [level, names])) as Record<L, typeof names>).optional().meta({ description: 'Only in those of these names; absent: everywhere' }),
  ...policyBase,
  priority: priority.meta({ description: 'Lower is evaluated first; at equal priority in the order of the names, and of its rules as they are listed' }),
  ...rulesSchema,
});
