import type { Scope } from '@osier/contracts/document';
import type { PolicyKind, Spec } from '@osier/contracts/kinds';
import { none } from '@osier/contracts/names';
import type { PeerSpec, RuleSpec } from '@osier/contracts/policy';
import { parseAddress } from '../net/address.ts';
import { blocksOf, type Groups, noGroups } from './groups.ts';
import { liveOf } from './live.ts';
import type { Condition, Direction, Party, PartySelector, Peer, Policy, Rule, Tags, Tier } from './model.ts';
import { selects } from './selector.ts';
import { conditionsOf, portOf } from './spec.ts';

/**
 * Osier's own documents in the model: an environment is a scope, and its policies are of the tier Project. Those of wider scopes select by the names of the
 * levels, which every environment has as tags.
 */
export interface OsierEndpoint { readonly path: string; readonly environment: string; readonly spec: Spec<'endpoint'> }
/** `acme`, `shop`, `staging`; `_` where a level does not apply. */
export type OsierPolicy = Scope & { readonly path: string } & { readonly [K in PolicyKind]: { readonly kind: K; readonly spec: Spec<K> } }[PolicyKind];

const levels = ['domain', 'project', 'environment'] as const;
export const environmentPath = ({ domain, project, environment }: Scope): string => `${domain}/${project}/${environment}`;
/** `acme/shop/staging` → its levels as tags. */
export function scopeTagsOf(path: string): Tags {
  const [domain = '', project = '', environment = ''] = path.split('/');
  return { domain, project, environment };
}

export const declaredPorts = ({ ports }: Pick<Spec<'endpoint'>, 'ports'>): Party['ports'] => (ports ?? []).map(({ name, protocol, port }) => ({ name: name ?? '', protocol, port }));
export function osierParty({ path, environment, spec }: OsierEndpoint): Party {
  const address = spec.address === undefined ? undefined : parseAddress(spec.address);
  return {
    type: 'party', name: path, scope: environment, tags: spec.tags, addresses: address === undefined ? [] : [address], node: spec.node,
    ports: declaredPorts(spec),
    segment: [{ name: environment, why: 'unreachable' }, { name: `${environment}/${spec.network}`, why: 'no-connection' }],
  };
}

/** Directions in which whatever no rule matches is denied. */
export const isolates = (spec: Spec<'policy'>, direction: Direction): boolean =>
  spec.isolates === undefined ? spec[direction] !== undefined : spec.isolates.includes(direction);

/** `groups`: those of its project. */
export function osierPolicy(document: OsierPolicy, groups: Groups = noGroups): Policy {
  const { kind, path, spec } = document;
  return {
    tier: tierOf(document), priority: spec.priority, kind, name: path, subject: subjectOf(document), ...(spec.mode === 'shadow' ? { shadow: true } : {}), ...liveOf(spec),
    isolates: document.kind === 'policy' ? (['ingress', 'egress'] as const).filter((direction) => isolates(document.spec, direction)) : [],
    ingress: (spec.ingress ?? []).flatMap((rule, i) => ruleOf(rule, rule.from, `ingress[${i}]`, document, groups)),
    egress: (spec.egress ?? []).flatMap((rule, i) => ruleOf(rule, rule.to, `egress[${i}]`, document, groups)),
  };
}

/** Whether a policy is one of those that may select in an environment. */
export const isWithin = (document: OsierPolicy, environment: string): boolean => {
  const { scope, scopeTags } = subjectOf(document);
  return (scope === undefined || scope === environment) && selects(scopeTags, scopeTagsOf(environment));
};

const wide = { 'project-policy': { Admin: 'ProjectAdmin', Baseline: 'ProjectBaseline' }, 'domain-policy': { Admin: 'DomainAdmin', Baseline: 'DomainBaseline' }, 'platform-policy': { Admin: 'Admin', Baseline: 'Baseline' } } as const;
const tierOf = (document: OsierPolicy): Tier => (document.kind === 'policy' ? 'Project' : wide[document.kind][document.spec.tier]);

function subjectOf(document: OsierPolicy): PartySelector {
  const tags = conditionsOf(document.spec.appliesTo);
  if (document.kind === 'policy') return { type: 'parties', scope: environmentPath(document), scopeTags: [], tags };
  const named: Readonly<Partial<Record<string, readonly string[]>>> = document.spec.scope ?? {};
  const scopeTags = levels.flatMap((level): Condition[] => {
    const [own, below] = [document[level], named[`${level}s`]];
    return own !== none ? [{ key: level, operator: 'In', values: [own] }] : below === undefined ? [] : [{ key: level, operator: 'In', values: below }];
  });
  return { type: 'parties', scopeTags, tags };
}

/**
 * A group that is not known, such as one that has not arrived yet, lets nobody through: a rule that allows does not mean it, and any other denies whatever it could mean.
 */
function ruleOf(rule: RuleSpec, peers: readonly PeerSpec[] | undefined, place: string, document: OsierPolicy, groups: Groups): Rule[] {
  const scope = document.kind === 'policy' ? environmentPath(document) : undefined;
  const read = <S, T>(given: readonly S[] | undefined, one: (spec: S) => readonly T[] | undefined): { found: readonly T[] | undefined; isMissing: boolean } => {
    const all = given?.map(one);
    const isMissing = all?.includes(undefined) === true;
    return { found: isMissing && rule.action !== 'Allow' ? undefined : all?.flatMap((some) => some ?? []), isMissing };
  };
  const [who, what] = [read(peers, (peer) => peerOf(peer, scope, groups)), read(rule.ports, (port) => (port.serviceGroup === undefined ? [portOf(port)] : groups.ports(port.serviceGroup)))];
  const action = rule.action === 'Pass' && (who.isMissing || what.isMissing) ? 'Deny' : rule.action;
  return [{ name: rule.name ?? place, action, peers: who.found, ports: what.found }];
}

function peerOf(peer: PeerSpec, scope: string | undefined, groups: Groups): readonly Peer[] | undefined {
  if (peer.endpointGroup !== undefined) return listed(groups.endpoints(peer.endpointGroup));
  if (peer.addressGroup !== undefined) return listed(groups.addresses(peer.addressGroup));
  if (peer.cidr !== undefined) return blocksOf([peer.cidr]).map((block) => ({ type: 'block', block, except: blocksOf(peer.except ?? []) }));
  const same = peer.matchSame?.map((key) => ({ of: 'party', key }) as const);
  return [{ type: 'parties', ...(scope === undefined ? {} : { scope }), scopeTags: [], tags: conditionsOf(peer.endpoints ?? {}), ...(same === undefined ? {} : { same }) }];
}
const listed = <T>(one: T | undefined): readonly T[] | undefined => (one === undefined ? undefined : [one]);
