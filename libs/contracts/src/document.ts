import { z } from 'zod';
import { type Kind, kinds, type Spec, type Status } from './kinds.ts';
import { idSchema, nameSchema, none, timeSchema } from './names.ts';

/** Where something is: a token for each level, `_` where a level does not apply. */
export interface Scope { readonly domain: string; readonly project: string; readonly environment: string }
export const platformScope: Scope = { domain: none, project: none, environment: none };

const scopeToken = z.union([nameSchema, z.literal(none)]);
const common = {
  id: idSchema,
  domain: scopeToken, project: scopeToken, environment: scopeToken,
  name: z.string().min(1),
  parent: z.union([idSchema, z.literal(none)]).meta({ description: "An endpoint's and a lease's parent is the id of its network" }),
  version: z.int().min(1).meta({ description: 'Counts the changes of this object' }),
  phase: z.enum(['active', 'deleted']).meta({ description: 'deleted: a tombstone' }),
  createdAt: timeSchema, updatedAt: timeSchema,
  intent: z.string().meta({ description: 'The id of the intent that made this version' }),
};

/**
 * The whole current document of one entity, or its tombstone (`phase: deleted`, which keeps the last spec and status).
 * The scope of a domain, project or environment is the thing itself: the document of project `shop` has `project: shop`.
 * Its revision is no field: it is the sequence of the message in CHANGES and STATE.
 */
export interface Document<K extends Kind = Kind> extends Scope {
  readonly kind: K;
  readonly id: string;
  readonly name: string;
  readonly parent: string;
  readonly version: number;
  readonly phase: 'active' | 'deleted';
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly intent: string;
  readonly spec: Spec<K>;
  readonly status: Status<K>;
}
export type AnyDocument = { [K in Kind]: Document<K> }[Kind];

const documentSchemas = new Map<Kind, z.ZodObject>();
/** One object for each kind, since zod compiles each object anew when it first parses. */
export function documentSchema<K extends Kind>(kind: K): z.ZodObject {
  const made = documentSchemas.get(kind) ?? z.object({ kind: z.literal(kind), ...common, spec: kinds[kind].spec, status: kinds[kind].status });
  documentSchemas.set(kind, made);
  return made;
}

/** `acme/shop/staging/frontend`: how people name an object (OpenContrail: fq_name). */
export function pathOf(document: Scope & { kind: Kind; name: string }): string {
  const scope = [document.domain, document.project, document.environment].filter((token) => token !== none);
  const self = document.kind === 'domain' || document.kind === 'project' || document.kind === 'environment';
  return self ? scope.join('/') : [...scope, document.name].join('/');
}

export const isKind = <K extends Kind>(document: { kind: Kind }, kind: K): document is Document<K> => document.kind === kind;

/** The scope in which a document of this kind is kept, from the scope of the intent that wished it. */
export function scopeWithin(kind: Kind, scope: Scope, name: string): Scope {
  if (kind === 'domain' || kind === 'project' || kind === 'environment') return { ...scope, [kind]: name };
  return scope;
}
