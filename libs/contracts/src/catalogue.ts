import { z } from 'zod';
import { type GroupKind, kinds, type Level, type PolicyKind, type Service, type Spec, type WritableKind, writableKinds, writtenBy } from './kinds.ts';
import { idSchema, ipv4Schema, nameSchema } from './names.ts';
import type { Role } from './roles.ts';

/**
 * Every intent: what may be wished of Osier, by whom it is decided, in which scope, with which body.
 * `apply` makes the object or changes it to be as the body says; `delete` removes it. Both may be repeated without harm.
 */
export interface IntentDeclaration {
  readonly noun: string;
  readonly verb: string;
  readonly owner: Service;
  readonly level: Level;
  readonly body: z.ZodObject;
  readonly example: unknown;
  readonly summary: string;
  /** Spoken between services only; no tenant's credential may publish it. */
  readonly internal: boolean;
  /** The least that a credential must be to publish it, within its scope. */
  readonly role: Role;
}

const expected = {
  expectedVersion: z.int().min(0).optional().meta({ description: 'Refuse with version-conflict unless the object is at this version (0: does not exist)' }),
};
export const applySchema = <K extends WritableKind>(kind: K) =>
  z.strictObject({ name: nameSchema, ...expected, spec: kinds[kind].spec as (typeof kinds)[K]['spec'] });
export const deleteSchema = z.strictObject({ name: nameSchema, ...expected });

export interface ApplyBody<K extends WritableKind = WritableKind> { name: string; expectedVersion?: number | undefined; spec: Spec<K> }
export type DeleteBody = z.infer<typeof deleteSchema>;

/** Asks for an address: sent by topology for an endpoint that is being made. */
export const leaseReserveSchema = z.strictObject({
  network: idSchema, endpoint: idSchema,
  address: ipv4Schema.optional(),
});
export type LeaseReserveBody = z.infer<typeof leaseReserveSchema>;
/** Gives an address back: sent by topology when every node has attested that nothing of the endpoint is left in its kernel. */
export const leaseReleaseSchema = z.strictObject({ lease: idSchema });
export type LeaseReleaseBody = z.infer<typeof leaseReleaseSchema>;

const sampleId = '01997f5e-5b3c-7cc0-8000-000000000001';
const names: Record<WritableKind, string> = {
  domain: 'acme', project: 'shop', environment: 'staging', credential: 'ci', 'platform-credential': 'node-1', node: 'node-1', network: 'main', endpoint: 'frontend', policy: 'database',
  'project-policy': 'production', 'domain-policy': 'own-stage', 'platform-policy': 'no-telnet', 'endpoint-group': 'front', 'address-group': 'offices', 'service-group': 'web',
};

const applyAndDelete = writableKinds.flatMap((noun): IntentDeclaration[] => {
  const { owner, level, title, example } = kinds[noun];
  const role = writtenBy(noun);
  return [
    { noun, verb: 'apply', owner, level, role, internal: false, body: applySchema(noun), summary: `Make or change: ${title.toLowerCase()}`, example: { name: names[noun], spec: example } },
    { noun, verb: 'delete', owner, level, role, internal: false, body: deleteSchema, summary: `Remove: ${title.toLowerCase()}`, example: { name: names[noun] } },
  ];
});

export const catalogue: readonly IntentDeclaration[] = [
  ...applyAndDelete,
  { noun: 'lease', verb: 'reserve', owner: 'ipam', level: 'environment', role: 'admin', internal: true, body: leaseReserveSchema, summary: 'Hold an address for an endpoint', example: { network: sampleId, endpoint: sampleId } },
  { noun: 'lease', verb: 'release', owner: 'ipam', level: 'environment', role: 'admin', internal: true, body: leaseReleaseSchema, summary: 'Give an address back', example: { lease: sampleId } },
];

/** `network.apply`: how code names an intent. */
export type IntentName = `${WritableKind}.${'apply' | 'delete'}` | 'lease.reserve' | 'lease.release';
export interface IntentBodies {
  'lease.reserve': LeaseReserveBody;
  'lease.release': LeaseReleaseBody;
}
export type IntentBody<N extends IntentName> = N extends keyof IntentBodies ? IntentBodies[N]
  : N extends `${infer K extends WritableKind}.apply` ? ApplyBody<K> : DeleteBody;

/** Which intents each service decides; `satisfies Handlers<'ipam'>` makes a missing handler a compile error. */
export type IntentsOf<S extends Service> = {
  tenant: `${'domain' | 'project' | 'environment' | 'credential' | 'platform-credential'}.${'apply' | 'delete'}`;
  ipam: 'lease.reserve' | 'lease.release';
  topology: `${'node' | 'network' | 'endpoint'}.${'apply' | 'delete'}`;
  policy: `${PolicyKind | GroupKind}.${'apply' | 'delete'}`;
}[S];

export const intentName = (intent: { noun: string; verb: string }): IntentName => `${intent.noun}.${intent.verb}` as IntentName;
const byName = new Map(catalogue.map((i) => [intentName(i), i]));
export const intentDeclaration = (name: string): IntentDeclaration | undefined => byName.get(name as IntentName);
export const intentsOf = (owner: Service): readonly IntentDeclaration[] => catalogue.filter((i) => i.owner === owner);
