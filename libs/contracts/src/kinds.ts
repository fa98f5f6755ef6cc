import { z } from 'zod';
import { limits } from './limits.ts';
import { platformPrefix, type Role, roles, servicePrefix } from './roles.ts';
import { cidrSchema, idSchema, ipv4Schema, macSchema, nameSchema, portSchema, selectorSchema, tagsSchema, timeSchema, userKeySchema } from './names.ts';
import { policyBase, policyDirections, portsSchema, rulesSchema, widePolicy } from './policy.ts';

/**
 * What exists, declared once: each kind with its owner, its place, what a person wishes (`spec`) and what its owner adds
 * (`status`). Types, validation, subjects, HTTP routes, CLI and AsyncAPI are derived from this file.
 * To add a field to an endpoint: add it to `endpoint.spec` here, then follow the compiler.
 */
export type Service = 'tenant' | 'ipam' | 'topology' | 'policy';
/** Where an object lives, and so which scope its intents name: the platform itself, a domain, a project, an environment. */
export type Level = 'platform' | 'domain' | 'project' | 'environment';

interface KindDeclaration {
  readonly plural: string;
  readonly title: string;
  readonly owner: Service;
  readonly level: Level;
  /** Whether people may apply and delete it; otherwise its owner makes it by itself. */
  readonly writable: boolean;
  /** The least that a credential must be to apply and delete it; absent: editor. */
  readonly writtenBy?: Role;
  readonly spec: z.ZodObject;
  readonly status: z.ZodObject;
  readonly example: unknown;
}
const kind = <const D extends KindDeclaration>(declaration: D): D => declaration;

const description = z.string().max(1024).optional();
const nothing = z.strictObject({});
const key = z.strictObject({
  publicKey: userKeySchema,
  expiresAt: timeSchema.meta({ description: 'From then on it is refused, and its connections end' }),
});
const keys = z.array(key).max(limits.keysPerCredential)
  .refine((all) => new Set(all.map((k) => k.publicKey)).size === all.length, 'must not name a key twice')
  .meta({ description: 'Several while one replaces another; a key that is taken out is revoked' });
const credentialStatus = z.strictObject({
  revoked: z.array(key).max(limits.revokedKeysPerCredential).meta({ description: 'Keys that were taken out before they expired' }),
});
const sampleKeys = [{ publicKey: 'UA4A2BNLJEXSVN4LVR5QA5KRPGVCOSAFKF5LJGWBGB7E2YS6TCK2AN4A', expiresAt: '2027-01-31T12:00:00Z' }];
const roleSchema = z.enum(roles);
export const kinds = {
  domain: kind({
    plural: 'domains', title: 'Domain', owner: 'tenant', level: 'platform', writable: true, writtenBy: 'admin',
    spec: z.strictObject({ description }), status: nothing, example: { description: 'Retail' },
  }),
  project: kind({
    plural: 'projects', title: 'Project', owner: 'tenant', level: 'domain', writable: true, writtenBy: 'admin',
    spec: z.strictObject({ description }), status: nothing, example: { description: 'The web shop' },
  }),
  environment: kind({
    plural: 'environments', title: 'Environment', owner: 'tenant', level: 'project', writable: true, writtenBy: 'admin',
    spec: z.strictObject({ description }), status: nothing, example: { description: 'Staging of the web shop' },
  }),
  credential: kind({
    plural: 'credentials', title: 'Credential', owner: 'tenant', level: 'domain', writable: true, writtenBy: 'admin',
    spec: z.strictObject({
      description,
      project: nameSchema.optional().meta({ description: 'Counts in this project only; absent: in the whole domain' }),
      role: roleSchema,
      keys,
    }),
    status: credentialStatus, example: { project: 'shop', role: 'editor', keys: sampleKeys },
  }),
  'platform-credential': kind({
    plural: 'platform-credentials', title: 'Platform credential', owner: 'tenant', level: 'platform', writable: true, writtenBy: 'admin',
    spec: z.strictObject({
      description,
      role: roleSchema.optional().meta({ description: 'Of a person or program, over all domains' }),
      node: nameSchema.optional().meta({ description: 'The agent of this node' }),
      keys,
    }).refine((spec) => (spec.role === undefined) !== (spec.node === undefined), { error: 'must have either "role" or "node"', path: ['role'] }),
    status: credentialStatus, example: { node: 'node-1', keys: sampleKeys },
  }),
  'routing-domain': kind({
    plural: 'routing-domains', title: 'Routing domain', owner: 'topology', level: 'environment', writable: false,
    spec: nothing, status: z.strictObject({ vni: z.int().min(1).max(0xff_ff_ff) }), example: {},
  }),
  node: kind({
    plural: 'nodes', title: 'Node', owner: 'topology', level: 'platform', writable: true, writtenBy: 'admin',
    spec: z.strictObject({ tunnelEndpoint: ipv4Schema.meta({ description: "The node's underlay address" }) }),
    status: nothing, example: { tunnelEndpoint: '192.0.2.11' },
  }),
  network: kind({
    plural: 'networks', title: 'Network', owner: 'topology', level: 'environment', writable: true,
    spec: z.strictObject({ subnets: z.array(cidrSchema).min(1).max(limits.subnetsPerNetwork) }),
    status: z.strictObject({
      routingDomain: idSchema,
      vni: z.int().min(1).max(0xff_ff_ff),
      number: z.int().min(1).max(0x7f_ff_ff_ff).meta({ description: 'The number of the network in kernel maps' }),
    }),
    example: { subnets: ['10.0.0.0/24'] },
  }),
  lease: kind({
    plural: 'leases', title: 'Address lease', owner: 'ipam', level: 'environment', writable: false,
    spec: z.strictObject({ network: idSchema, endpoint: idSchema }),
    status: z.strictObject({ address: ipv4Schema, mac: macSchema }), example: {},
  }),
  endpoint: kind({
    plural: 'endpoints', title: 'Endpoint', owner: 'topology', level: 'environment', writable: true,
    spec: z.strictObject({
      network: nameSchema.meta({ description: 'Name of its network' }),
      node: nameSchema.meta({ description: 'Name of the node that it runs on' }),
      tags: tagsSchema.default({}),
      address: ipv4Schema.optional().meta({ description: 'Ask for this address; absent: the next free one' }),
      attachment: z.strictObject({
        containerId: z.string().min(1).max(128).regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'must be letters, digits, "_", "." and "-"')
          .meta({ description: 'Its network namespace, by name' }),
        interface: z.string().min(1).max(15).regex(/^[A-Za-z0-9_.-]+$/, 'must be an interface name')
          .refine((name) => !['.', '..', 'lo'].includes(name), 'must be the name of an interface that does not exist yet, such as eth0').default('eth0'),
      }),
      ports: z.array(z.strictObject({ name: nameSchema.optional(), protocol: z.enum(['TCP', 'UDP', 'SCTP']), port: portSchema }))
        .max(limits.portsPerEndpoint).optional().meta({ description: 'Ports that its workload listens on; rules may name them' }),
    }),
    status: z.strictObject({ address: ipv4Schema, mac: macSchema, lease: idSchema }),
    example: { network: 'main', node: 'node-1', tags: { app: 'frontend' }, attachment: { containerId: 'frontend-7d9f' } },
  }),
  policy: kind({
    plural: 'policies', title: 'Security policy', owner: 'policy', level: 'environment', writable: true,
    spec: z.strictObject({
      description,
      ...policyBase,
      isolates: z.array(z.enum(policyDirections)).max(2).optional()
        .meta({ description: 'Directions in which whatever no rule of any policy matches is denied; default: those that have a rule list' }),
      ...rulesSchema,
    }),
    status: nothing,
    example: {
      appliesTo: { matchTags: { app: 'database' } },
      ingress: [{ name: 'from-api', from: [{ endpoints: { matchTags: { app: 'api' } } }], ports: [{ protocol: 'TCP', port: 5432 }] }],
    },
  }),
  'project-policy': kind({
    plural: 'project-policies', title: 'Security policy of a project', owner: 'policy', level: 'project', writable: true, writtenBy: 'admin',
    spec: z.strictObject({ description, ...widePolicy('environments') }), status: nothing,
    example: { tier: 'Admin', scope: { environments: ['production'] }, appliesTo: { matchTags: { app: 'database' } }, ingress: [{ name: 'no-debugging', action: 'Deny', from: [{ endpoints: { matchTags: { app: 'debugger' } } }] }] },
  }),
  'domain-policy': kind({
    plural: 'domain-policies', title: 'Security policy of a domain', owner: 'policy', level: 'domain', writable: true, writtenBy: 'admin',
    spec: z.strictObject({ description, ...widePolicy('projects', 'environments') }), status: nothing,
    example: { tier: 'Baseline', appliesTo: {}, ingress: [{ name: 'own-stage-only', action: 'Allow', from: [{ matchSame: ['stage'] }] }, { name: 'nobody-else', action: 'Deny' }] },
  }),
  'platform-policy': kind({
    plural: 'platform-policies', title: 'Security policy of the platform', owner: 'policy', level: 'platform', writable: true, writtenBy: 'admin',
    spec: z.strictObject({ description, ...widePolicy('domains', 'projects', 'environments') }), status: nothing,
    example: { tier: 'Admin', appliesTo: {}, egress: [{ name: 'no-telnet', action: 'Deny', ports: [{ protocol: 'TCP', port: 23 }] }] },
  }),
  'endpoint-group': kind({
    plural: 'endpoint-groups', title: 'Endpoint group', owner: 'policy', level: 'project', writable: true,
    spec: z.strictObject({ description, endpoints: z.array(selectorSchema).min(1).max(limits.itemsPerRule).meta({ description: 'Whoever one of these selects, in the environment of the policy that names the group' }) }),
    status: nothing, example: { endpoints: [{ matchTags: { tier: 'front' } }] },
  }),
  'address-group': kind({
    plural: 'address-groups', title: 'Address group', owner: 'policy', level: 'project', writable: true,
    spec: z.strictObject({
      description,
      cidrs: z.array(cidrSchema).min(1).max(limits.cidrsPerGroup).meta({ description: 'Whoever has an address in one of these prefixes' }),
      except: z.array(cidrSchema).min(1).max(limits.cidrsPerGroup).optional().meta({ description: 'But not in one of these' }),
    }),
    status: nothing, example: { cidrs: ['10.0.0.0/24'], except: ['10.0.0.0/28'] },
  }),
  'service-group': kind({
    plural: 'service-groups', title: 'Service group', owner: 'policy', level: 'project', writable: true,
    spec: z.strictObject({ description, ports: portsSchema }), status: nothing, example: { ports: [{ protocol: 'TCP', port: 80 }, { protocol: 'TCP', port: 8000, endPort: 8099 }] },
  }),
} as const;

/** From the narrowest scope to the widest. */
export const policyKinds = ['policy', 'project-policy', 'domain-policy', 'platform-policy'] as const;
export type PolicyKind = (typeof policyKinds)[number];
/** Groups belong to a project: policies of the project and of its environments may name them. */
export const groupKinds = ['endpoint-group', 'address-group', 'service-group'] as const;
export type GroupKind = (typeof groupKinds)[number];

export type Kind = keyof typeof kinds;
export type Spec<K extends Kind> = z.output<(typeof kinds)[K]['spec']>;
export type Status<K extends Kind> = z.output<(typeof kinds)[K]['status']>;
export type WritableKind = { [K in Kind]: (typeof kinds)[K]['writable'] extends true ? K : never }[Kind];
export const kindNames = Object.keys(kinds) as Kind[];
export const writableKinds = kindNames.filter((name): name is WritableKind => kinds[name].writable);
export const writtenBy = (kind: WritableKind): Role => (kinds[kind] as KindDeclaration).writtenBy ?? 'editor';
/** Names that would pass for a service's or the platform's own. */
export const isReservedCredential = (name: string): boolean => name.startsWith(servicePrefix) || name.startsWith(platformPrefix);
export const kindsOf = (owner: Service): Kind[] => kindNames.filter((name) => kinds[name].owner === owner);
