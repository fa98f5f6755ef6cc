import { type AnyDocument, type Document, pathOf } from '@osier/contracts/document';
import { type GroupKind, groupKinds, type PolicyKind, policyKinds, type Spec } from '@osier/contracts/kinds';
import type { Policy } from '../policy/model.ts';
import { groupsNamed, groupsOf, type NamedGroup } from '../rules/groups.ts';
import { isWithin, osierPolicy, type OsierPolicy } from '../rules/osier.ts';
import type { Pending } from './program.ts';

type PolicyDocument = Document<PolicyKind>;
type GroupDocument = Document<GroupKind>;

/** The policies that a node knows, of whatever scope, with what the groups that they name hold. */
export interface Policies {
  readonly tell: (document: AnyDocument) => void;
  /** Those that may select in an environment. */
  within(environment: string): Policy[];
  /** Those that are other than at the last call. `within`: as it is in an environment, if it is. */
  changed(): { readonly id: string; within(environment: string): Policy | undefined }[];
  /** Those of these environments that name a group which is not known here. */
  pending(environments: readonly string[]): Pending[];
}

interface Known { readonly document: PolicyDocument; readonly names: readonly NamedGroup[]; policy: Policy | undefined }

const isGroup = (document: AnyDocument): document is GroupDocument & AnyDocument => (groupKinds as readonly string[]).includes(document.kind);
const isPolicy = (document: AnyDocument): document is PolicyDocument & AnyDocument => (policyKinds as readonly string[]).includes(document.kind);
const projectOf = ({ domain, project }: Pick<Document, 'domain' | 'project'>): string => `${domain}/${project}`;
const groupKey = (project: string, { kind, name }: Pick<NamedGroup, 'kind' | 'name'>): string => `${kind} ${project}/${name}`;

export function createPolicies(): Policies {
  const policies = new Map<string, Known>();
  const groups = new Map<string, GroupDocument>();
  /** Ids of policies by the group that they name. */
  const naming = new Map<string, Set<string>>();
  const changed = new Set<string>();

  const specOf = (project: string) => <K extends GroupKind>(kind: K, name: string): Spec<K> | undefined => groups.get(groupKey(project, { kind, name }))?.spec as Spec<K> | undefined;
  const translated = (known: Known): Policy => (known.policy ??= policyOf(known.document, groupsOf(projectOf(known.document), specOf(projectOf(known.document)))));
  const withinOf = (id: string) => (environment: string): Policy | undefined => {
    const known = policies.get(id);
    return known && isWithin(sourceOf(known.document), environment) ? translated(known) : undefined;
  };
  const keysOf = ({ document, names }: Known): string[] => names.map((name) => groupKey(projectOf(document), name));

  function tellGroup(document: GroupDocument): void {
    const key = groupKey(projectOf(document), document as Pick<NamedGroup, 'kind' | 'name'>);
    const before = groups.get(key);
    // A name that was given again is another group: what is left of the former does not end it.
    if (document.phase === 'active') groups.set(key, document);
    else if (before?.id === document.id) groups.delete(key);
    for (const id of naming.get(key) ?? []) {
      const known = policies.get(id);
      if (known) known.policy = undefined;
      changed.add(id);
    }
  }
  function tellPolicy(document: PolicyDocument): void {
    const before = policies.get(document.id);
    for (const key of before ? keysOf(before) : []) naming.get(key)?.delete(document.id);
    changed.add(document.id);
    policies.delete(document.id);
    if (document.phase !== 'active') return;
    const known: Known = { document, names: groupsNamed(document.spec), policy: undefined };
    policies.set(document.id, known);
    for (const key of keysOf(known)) naming.set(key, (naming.get(key) ?? new Set()).add(document.id));
  }

  return {
    tell: (document) => {
      if (isGroup(document)) tellGroup(document);
      else if (isPolicy(document)) tellPolicy(document);
    },
    within: (environment) => [...policies.keys()].flatMap((id) => withinOf(id)(environment) ?? []),
    changed() {
      const told = [...changed].map((id) => ({ id, within: withinOf(id) }));
      changed.clear();
      return told;
    },
    pending(environments) {
      const found: Pending[] = [];
      for (const known of policies.values()) {
        if (known.names.length === 0 || !environments.some((environment) => isWithin(sourceOf(known.document), environment))) continue;
        const missing = known.names.find(({ kind, name }) => !groups.has(groupKey(projectOf(known.document), { kind, name })));
        if (missing) found.push({ kind: known.document.kind, id: known.document.id, path: pathOf(known.document), code: 'group-unknown', reason: `The ${missing.kind} ${missing.name}, which it names, is not known here.` });
      }
      return found;
    },
  };
}

const sourceOf = (document: PolicyDocument): OsierPolicy => ({ ...document, path: pathOf(document) }) as unknown as OsierPolicy;
export const policyOf = (document: PolicyDocument, groups?: Parameters<typeof osierPolicy>[1]): Policy => ({ ...osierPolicy(sourceOf(document), groups), id: document.id });
