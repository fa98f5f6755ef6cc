import type { Spec } from '@osier/contracts/kinds';
import type { Selector, Tags } from '@osier/contracts/names';
import { parseAddress } from '../net/address.ts';
import { isolates } from '../policy/model.ts';
import type { Condition, Party, Policy, Rule, TagSelector } from './model.ts';

/** Osier's own documents in the model: an environment is a scope, its policies are of the tier Project. */
export interface OsierEndpoint { readonly path: string; readonly environment: string; readonly spec: Spec<'endpoint'> }
export interface OsierPolicy { readonly path: string; readonly environment: string; readonly spec: Spec<'policy'> }

export function conditionsOf(selector: Selector): TagSelector {
  const tags: Tags = selector.matchTags ?? {};
  return [
    ...Object.entries(tags).map(([key, value]): Condition => ({ key, operator: 'In', values: [value] })),
    ...(selector.matchExpressions ?? []).map((e): Condition => ('values' in e ? { key: e.key, operator: e.operator, values: e.values } : { key: e.key, operator: e.operator })),
  ];
}

export function osierParty({ path, environment, spec }: OsierEndpoint): Party {
  const address = spec.address === undefined ? undefined : parseAddress(spec.address);
  return {
    type: 'party', name: path, scope: environment, tags: spec.tags, addresses: address === undefined ? [] : [address], node: spec.node,
    ports: (spec.ports ?? []).map(({ name, protocol, port }) => ({ name: name ?? '', protocol, port })),
    segment: [{ name: environment, why: 'unreachable' }, { name: `${environment}/${spec.network}`, why: 'no-connection' }],
  };
}

export function osierPolicy({ path, environment, spec }: OsierPolicy): Policy {
  type Listed = NonNullable<Spec<'policy'>['ingress']>[number] | NonNullable<Spec<'policy'>['egress']>[number];
  const ruleOf = (rule: Listed, name: string): Rule => {
    const peers = 'from' in rule ? rule.from : 'to' in rule ? rule.to : undefined;
    return {
      name: rule.name ?? name, action: rule.action,
      peers: peers?.map(({ endpoints }) => ({ type: 'parties', scope: environment, scopeTags: [], tags: conditionsOf(endpoints) })),
      ports: rule.ports?.map(({ protocol, port }) => (port === undefined ? { protocol } : { protocol, first: port, last: port })),
    };
  };
  return {
    tier: 'Project', priority: spec.priority, kind: 'policy', name: path,
    subject: { type: 'parties', scope: environment, scopeTags: [], tags: conditionsOf(spec.appliesTo) },
    isolates: (['ingress', 'egress'] as const).filter((direction) => isolates(spec, direction)),
    ingress: (spec.ingress ?? []).map((rule, i) => ruleOf(rule, `ingress[${i}]`)),
    egress: (spec.egress ?? []).map((rule, i) => ruleOf(rule, `egress[${i}]`)),
  };
}
