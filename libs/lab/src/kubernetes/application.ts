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
