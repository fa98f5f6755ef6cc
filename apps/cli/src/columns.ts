import type { AnyDocument, Document } from '@osier/contracts/document';
import type { Kind, Spec } from '@osier/contracts/kinds';

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
  policy: [
    { title: 'APPLIES TO', value: (d) => selector(d.spec.appliesTo) },
    { title: 'INGRESS', value: (d) => (d.spec.ingress === undefined ? '-' : `${d.spec.ingress.length} rules`) },
    { title: 'EGRESS', value: (d) => (d.spec.egress === undefined ? '-' : `${d.spec.egress.length} rules`) },
    { title: 'PRIORITY', value: (d) => String(d.spec.priority) },
  ],
};

export const columnsOf = (kind: Kind): readonly Column[] => columns[kind] as unknown as readonly Column[];
