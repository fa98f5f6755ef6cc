import { type GroupKind, groupKinds, type Spec } from '@osier/contracts/kinds';
import type { RuleSpec } from '@osier/contracts/policy';
import { type Block, parseBlock } from '../net/address.ts';
import type { GroupPeer, PortMatch } from './model.ts';
import { conditionsOf, portOf } from './spec.ts';

/** The groups of one project, by name, as rules use them; undefined: there is none of that name. */
export interface Groups {
  endpoints(name: string): GroupPeer | undefined;
  addresses(name: string): GroupPeer | undefined;
  ports(name: string): readonly PortMatch[] | undefined;
}
export const noGroups: Groups = { endpoints: () => undefined, addresses: () => undefined, ports: () => undefined };

/** A block that cannot be read is no block: schemas have looked before. */
export const blocksOf = (texts: readonly string[]): Block[] => texts.flatMap((text) => parseBlock(text)?.block ?? []);

/** As long as the spec of a group is the same object, so is what is made of it. `project`: `acme/shop`. */
export function groupsOf(project: string, specOf: <K extends GroupKind>(kind: K, name: string) => Spec<K> | undefined): Groups {
  return {
    endpoints: (name) => made(specOf('endpoint-group', name), ({ endpoints }): GroupPeer => ({
      type: 'group', name: `endpoint-group ${project}/${name}`, parties: new Set(), blocks: [],
      selectors: endpoints.map((selector) => ({ type: 'parties', scopeTags: [], tags: conditionsOf(selector) })),
    })),
    addresses: (name) => made(specOf('address-group', name), ({ cidrs, except }): GroupPeer => ({
      type: 'group', name: `address-group ${project}/${name}`, parties: new Set(), blocks: blocksOf(cidrs), except: blocksOf(except ?? []),
    })),
    ports: (name) => made(specOf('service-group', name), ({ ports }) => ports.map(portOf)),
  };
}
const madeOf = new WeakMap<object, unknown>();
function made<S extends object, T>(spec: S | undefined, make: (spec: S) => T): T | undefined {
  if (spec === undefined) return undefined;
  const known = madeOf.get(spec) ?? make(spec);
  madeOf.set(spec, known);
  return known as T;
}

export interface NamedGroup { readonly kind: GroupKind; readonly name: string; /** `spec.ingress[0].from[1].addressGroup` */ readonly field: string }
const fields = { 'endpoint-group': 'endpointGroup', 'address-group': 'addressGroup', 'service-group': 'serviceGroup' } as const satisfies Record<GroupKind, string>;
/** The groups that the rules of a policy name, each time that they do. */
export function groupsNamed(spec: { readonly ingress?: readonly RuleSpec[] | undefined; readonly egress?: readonly RuleSpec[] | undefined }): NamedGroup[] {
  return (['ingress', 'egress'] as const).flatMap((direction) => (spec[direction] ?? []).flatMap((rule, i) => {
    const [side, peers] = 'from' in rule ? ['from', rule.from] : ['to', 'to' in rule ? rule.to : undefined];
    const places = [...(peers ?? []).map((one, n) => ({ one, at: `${side}[${n}]` })), ...(rule.ports ?? []).map((one, n) => ({ one, at: `ports[${n}]` }))];
    return places.flatMap(({ one, at }) => groupKinds.flatMap((kind): NamedGroup[] => {
      const name = (one as Readonly<Partial<Record<string, unknown>>>)[fields[kind]];
      return typeof name === 'string' ? [{ kind, name, field: `spec.${direction}[${i}].${at}.${fields[kind]}` }] : [];
    }));
  }));
}
