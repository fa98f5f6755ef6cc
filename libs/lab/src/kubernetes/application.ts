import type { Selector } from '@osier/contracts/names';
import type { Spec } from '@osier/contracts/kinds';

/** What manifests say, in Osier's words: the same for every environment that they are loaded into. */
export interface Application {
  readonly workloads: readonly AppWorkload[];
  readonly services: readonly AppService[];
  readonly policies: readonly AppPolicy[];
  /** Objects that say nothing about who may talk to whom. */
  readonly ignored: readonly { readonly kind: string; readonly name: string }[];
}
export interface AppPort { readonly name?: string; readonly protocol: 'TCP' | 'UDP'; readonly port: number }
export interface AppWorkload { readonly name: string; readonly tags: Readonly<Record<string, string>>; readonly ports: readonly AppPort[] }
/** A name for workloads; `targetPort` is the workload's own port. */
export interface AppService { readonly name: string; readonly selector: Readonly<Record<string, string>>; readonly ports: readonly { readonly name?: string; readonly protocol: 'TCP' | 'UDP'; readonly port: number; readonly targetPort: number }[] }
export interface AppPolicy { readonly name: string; readonly spec: Spec<'policy'> }

/** Kubernetes' label selector (LabelSelector v1 meta) over the tags of a workload. */
export function selects(selector: Selector, tags: Readonly<Record<string, string>>): boolean {
  const exact = Object.entries(selector.matchTags ?? {}).every(([key, value]) => tags[key] === value);
  return exact && (selector.matchExpressions ?? []).every((expression) => {
    const value = tags[expression.key];
    switch (expression.operator) {
      case 'In': return value !== undefined && expression.values.includes(value);
      case 'NotIn': return value === undefined || !expression.values.includes(value);
      case 'Exists': return value !== undefined;
      case 'DoesNotExist': return value === undefined;
    }
  });
}
