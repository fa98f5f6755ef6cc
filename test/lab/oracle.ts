import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

/**
 * What Kubernetes manifests say about who reaches whom, worked out straight from the text of the API's reference
 * (networking.k8s.io/v1 NetworkPolicy) and by no code of the product: for each pair the policies are read anew, nothing is translated.
 */
interface Labels { [key: string]: string }
interface Selector { matchLabels?: Labels; matchExpressions?: { key: string; operator: string; values?: string[] }[] }
interface Port { port?: number; protocol?: string }
interface Rule { from?: { podSelector?: Selector }[]; to?: { podSelector?: Selector }[]; ports?: Port[] }
interface NetworkPolicy { spec: { podSelector: Selector; policyTypes?: string[]; ingress?: Rule[]; egress?: Rule[] } }
interface Deployment { metadata: { name: string }; spec: { template: { metadata: { labels: Labels }; spec: { containers: { ports?: { containerPort: number; protocol?: string }[] }[] } } } }

export interface Pod { readonly name: string; readonly labels: Labels; readonly ports: readonly number[] }
export interface Manifests { readonly pods: readonly Pod[]; reaches(from: Pod, to: Pod, port: number): boolean }

export function readManifests(folder: string): Manifests {
  const objects = readdirSync(folder).filter((file) => file.endsWith('.yaml'))
    .flatMap((file) => parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => document.toJS() as { kind?: string } | null))
    .filter((object) => object !== null);
  const policies = objects.filter((object) => object.kind === 'NetworkPolicy') as unknown as NetworkPolicy[];
  const pods = (objects.filter((object) => object.kind === 'Deployment') as unknown as Deployment[]).map((d): Pod => ({
    name: d.metadata.name, labels: d.spec.template.metadata.labels,
    ports: d.spec.template.spec.containers.flatMap((c) => (c.ports ?? []).filter((p) => (p.protocol ?? 'TCP') === 'TCP').map((p) => p.containerPort)),
  }));
  return { pods, reaches: (from, to, port) => side(policies, 'Egress', from, to, port) && side(policies, 'Ingress', to, from, port) };
}

/** "If no policies select a pod in a direction, all is allowed; if any does, what any of them allows." */
function side(policies: readonly NetworkPolicy[], type: 'Ingress' | 'Egress', subject: Pod, peer: Pod, port: number): boolean {
  const selecting = policies.filter((p) => matches(p.spec.podSelector, subject.labels) && types(p).includes(type));
  if (selecting.length === 0) return true;
  return selecting.some((p) => ((type === 'Ingress' ? p.spec.ingress : p.spec.egress) ?? []).some((rule) => {
    const peers = type === 'Ingress' ? rule.from : rule.to;
    const peerFits = !peers || peers.length === 0 || peers.some((candidate) => candidate.podSelector !== undefined && matches(candidate.podSelector, peer.labels));
    const portFits = !rule.ports || rule.ports.length === 0 || rule.ports.some((p) => (p.protocol ?? 'TCP') === 'TCP' && (p.port === undefined || p.port === port));
    return peerFits && portFits;
  }));
}

const types = (p: NetworkPolicy): string[] => p.spec.policyTypes ?? (p.spec.egress ? ['Ingress', 'Egress'] : ['Ingress']);

function matches(selector: Selector, labels: Labels): boolean {
  if (selector.matchExpressions) throw new Error('the oracle does not read matchExpressions');
  return Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
}
