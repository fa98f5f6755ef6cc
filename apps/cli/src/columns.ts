import type { AnyDocument, Document } from '@osier/contracts/document';
import type { Kind, Spec } from '@osier/contracts/kinds';
import { liveOf, whatBecomes } from '@osier/domain/rules/live';

export interface Column { readonly title: string; readonly value: (document: AnyDocument) => string }

const short = (text: string, most = 60): string => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);
const tags = (of: Readonly<Record<string, string>>): string => short(Object.entries(of).map(([key, value]) => `${key}=${value}`).join(','));

function selector(of: Spec<'policy'>['appliesTo']): string {
  const parts = [
    ...Object.entries(of.matchTags ?? {}).map(([key, value]) => `${key}=${value}`),
    ...(of.matchExpressions ?? []).map((e) => ('values' in e ? `${e.key} ${e.operator} (${e.values.join(',')})` : `${e.key} ${e.operator}`)),
  ];
  return parts.length === 0 ? 'all endpoints' : short(parts.join(','));
}

type ColumnsOf<K extends Kind> = readonly { readonly title: string; readonly value: (document: Document<K>) => string }[];

const description = { title: 'DESCRIPTION', value: (d: { spec: { description?: string | undefined } }) => short(d.spec.description ?? '-') };

const keyColumns = [
  { title: 'KEYS', value: (d: { spec: { keys: readonly unknown[] } }) => String(d.spec.keys.length) },
  { title: 'EXPIRES', value: (d: { spec: { keys: readonly { expiresAt: string }[] } }) => d.spec.keys.map((key) => key.expiresAt).sort().at(-1)?.slice(0, 16).replace('T', ' ') ?? '-' },
];

const tier = { title: 'TIER', value: (d: { spec: { tier: string } }) => d.spec.tier };
const count = (list: readonly unknown[] | undefined): string => (list === undefined ? '-' : `${list.length} rules`);
type Rules = Pick<Spec<'policy'>, 'appliesTo' | 'ingress' | 'egress' | 'priority' | 'liveConnections' | 'drainSeconds'>;
function live(spec: Rules): string {
  const fate = whatBecomes(liveOf(spec));
  return fate.ends === 'now' ? 'cut' : fate.ends === 'within' ? `drain ${fate.seconds}s` : 'keep';
}
const rules = [
  { title: 'APPLIES TO', value: (d: { spec: Rules }) => selector(d.spec.appliesTo) },
  { title: 'INGRESS', value: (d: { spec: Rules }) => count(d.spec.ingress) },
  { title: 'EGRESS', value: (d: { spec: Rules }) => count(d.spec.egress) },
  { title: 'LIVE', value: (d: { spec: Rules }) => live(d.spec) },
  { title: 'PRIORITY', value: (d: { spec: Rules }) => String(d.spec.priority) },
];
function port({ protocol, port: first, endPort, portName, type, code }: Spec<'service-group'>['ports'][number]): string {
  const number = portName ?? (first === undefined ? type === undefined ? '' : `type ${type}${code === undefined ? '' : `.${code}`}` : endPort === undefined ? String(first) : `${first}-${endPort}`);
  return [protocol, number].filter((part) => part !== undefined && part !== '').join(' ');
}

/** What a person wants to see of each kind, besides its name, version and revision. */
const columns: { readonly [K in Kind]: ColumnsOf<K> } = {
  domain: [description],
  project: [description],
  environment: [description],
  credential: [{ title: 'PROJECT', value: (d) => d.spec.project ?? 'all' }, { title: 'ROLE', value: (d) => d.spec.role }, ...keyColumns],
  'platform-credential': [{ title: 'ROLE', value: (d) => d.spec.role ?? `node ${d.spec.node ?? '?'}` }, ...keyColumns],
  'routing-domain': [{ title: 'VNI', value: (d) => String(d.status.vni) }],
  node: [{ title: 'TUNNEL ENDPOINT', value: (d) => d.spec.tunnelEndpoint }],
  network: [{ title: 'SUBNETS', value: (d) => short(d.spec.subnets.join(',')) }, { title: 'VNI', value: (d) => String(d.status.vni) }],
  lease: [{ title: 'ADDRESS', value: (d) => d.status.address }, { title: 'MAC', value: (d) => d.status.mac }],
  endpoint: [
    { title: 'NETWORK', value: (d) => d.spec.network }, { title: 'NODE', value: (d) => d.spec.node },
    { title: 'ADDRESS', value: (d) => d.status.address }, { title: 'TAGS', value: (d) => tags(d.spec.tags) || '-' },
  ],
  policy: rules,
  'project-policy': [tier, ...rules],
  'domain-policy': [tier, ...rules],
  'platform-policy': [tier, ...rules],
  'endpoint-group': [{ title: 'ENDPOINTS', value: (d) => short(d.spec.endpoints.map(selector).join(' or ')) }],
  'address-group': [{ title: 'CIDRS', value: (d) => short(d.spec.cidrs.join(',')) }, { title: 'EXCEPT', value: (d) => short(d.spec.except?.join(',') ?? '-') }],
  'service-group': [{ title: 'PORTS', value: (d) => short(d.spec.ports.map(port).join(',')) }],
};

export const columnsOf = (kind: Kind): readonly Column[] => columns[kind] as unknown as readonly Column[];
