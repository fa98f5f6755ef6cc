import type { Spec } from '@osier/contracts/kinds';

/** What manifests say, in Osier's words, for one environment. */
export interface Application {
  readonly workloads: readonly AppWorkload[];
  readonly services: readonly AppService[];
  readonly policies: readonly AppPolicy[];
  readonly projectPolicies: readonly AppProjectPolicy[];
  /** Objects that say nothing about who may talk to whom. */
  readonly ignored: readonly { readonly kind: string; readonly name: string }[];
  /** What is said about who may talk to whom, and has no meaning in a lab: a line each. */
  readonly leftOut: readonly string[];
}
export type AppProtocol = 'TCP' | 'UDP' | 'SCTP';
export interface AppPort { readonly name?: string; readonly protocol: AppProtocol; readonly port: number }
/** `path`: as Kubernetes names it, `shop/web`; `address`: the one that it must have. */
export interface AppWorkload { readonly name: string; readonly path?: string; readonly tags: Readonly<Record<string, string>>; readonly ports: readonly AppPort[]; readonly address?: string }
/** A name for workloads; `targetPort` is the workload's own port. */
export interface AppService { readonly name: string; readonly path?: string; readonly selector: Readonly<Record<string, string>>; readonly ports: readonly { readonly name?: string; readonly protocol: AppProtocol; readonly port: number; readonly targetPort: number }[] }
export interface AppPolicy { readonly name: string; readonly spec: Spec<'policy'> }
export interface AppProjectPolicy { readonly name: string; readonly spec: Spec<'project-policy'> }
