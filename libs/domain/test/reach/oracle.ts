/**
 * A second opinion, written from the documents of Kubernetes in the plainest way and sharing no code with the model: it walks the raw
 * manifests for every question, keeps no index, and has its own selectors and its own arithmetic of addresses.
 */
/* eslint-disable @typescript-eslint/no-explicit-any -- manifests are read as they were written */
type Raw = any;

export interface Asked { from: string; to: string; protocol: string; port?: number; family?: 4 | 6 }
export interface Side { verdict: 'Allow' | 'Deny'; by: string }
export interface Opinion { verdict: 'Allow' | 'Deny'; egress: Side | undefined; ingress: Side | undefined }

interface Who { pod?: Raw; node?: Raw; ips: string[]; host: boolean; unknown?: boolean }

// Addresses: one big number and a family.
function number6(text: string): bigint {
  let [head = '', tail] = text.split('::');
  const embed = (part: string): string => part.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_m, a, b, c, d) => `${((+a << 8) | +b).toString(16)}:${((+c << 8) | +d).toString(16)}`);
  head = embed(head);
  tail = tail === undefined ? undefined : embed(tail);
  const words = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [a, b] = [words(head), tail === undefined ? [] : words(tail)];
  const all = tail === undefined ? a : [...a, ...Array<string>(8 - a.length - b.length).fill('0'), ...b];
  return all.reduce((sum, word) => (sum << 16n) | BigInt(`0x${word}`), 0n);
}
const number4 = (text: string): bigint => text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(Number(part)), 0n);
const isSix = (text: string): boolean => text.includes(':');
function inBlock(ip: string, written: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)\/0*(\d+)$/i.exec(written);
  const cidr = mapped ? `${mapped[1]}/${Number(mapped[2]) - 96}` : written;
  const [base = '', bits = ''] = cidr.split('/');
  if (ip === '4' || ip === '6') return Number(bits) === 0 && isSix(base) === (ip === '6');
  if (isSix(ip) !== isSix(base)) return false;
  const width = isSix(ip) ? 128n : 32n;
  const value = (text: string): bigint => (isSix(text) ? number6(text) : number4(text));
  const shift = width - BigInt(Number(bits));
  return value(ip) >> shift === value(base) >> shift;
}

// Selectors: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
function selected(selector: Raw, labels: Record<string, string>): boolean {
  for (const key in selector.matchLabels ?? {}) {
    if (!Object.keys(labels).includes(key)) return false;
    if (labels[key] !== selector.matchLabels[key]) return false;
  }
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const there = Object.keys(labels).includes(key);
    const among = there && values !== undefined && values.indexOf(labels[key]) >= 0;
    if (operator === 'In' && !among) return false;
    if (operator === 'NotIn' && among) return false;
    if (operator === 'Exists' && !there) return false;
    if (operator === 'DoesNotExist' && there) return false;
  }
  return true;
}

const templateOf = (o: Raw): Raw => (o.kind === 'Pod' ? o : o.kind === 'CronJob' ? o.spec.jobTemplate.spec.template : o.spec.template);
const isRunning = (o: Raw): boolean => ['Pod', 'Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'Job', 'CronJob'].includes(o.kind);
const namespaceOf = (o: Raw): string => o.metadata.namespace ?? 'default';
const labelsOf = (o: Raw): Record<string, string> => templateOf(o).metadata?.labels ?? {};
const ipsOf = (o: Raw): string[] => (o.kind !== 'Pod' ? [] : (o.status?.podIPs ?? (o.status?.podIP ? [{ ip: o.status.podIP }] : [])).map((p: Raw) => p.ip));

export class Oracle {
  readonly objects: Raw[];
  constructor(objects: Raw[]) {
    this.objects = objects;
  }

  private kind(kind: string): Raw[] {
    return this.objects.filter((o) => o.kind === kind);
  }

  private namespaceLabels(name: string): Record<string, string> {
    const found = this.kind('Namespace').find((n) => n.metadata.name === name);
    return { ...found?.metadata.labels, 'kubernetes.io/metadata.name': name };
  }

  private who(text: string): Who {
    if (!text.startsWith('ip:')) {
      const pod = this.objects.find((o) => isRunning(o) && `${namespaceOf(o)}/${o.metadata.name}` === text);
      const host = templateOf(pod).spec?.hostNetwork === true;
      return { pod, ips: ipsOf(pod), host, node: host ? this.kind('Node').find((n) => n.metadata.name === templateOf(pod).spec.nodeName) : undefined };
    }
    const ip = text.slice(3);
    const node = this.kind('Node').find((n) => n.status.addresses.some((a: Raw) => a.address === ip));
    if (node) return { node, ips: [ip], host: false };
    const pod = this.kind('Pod').find((p) => p.spec?.hostNetwork !== true && ipsOf(p).includes(ip));
    return pod ? { pod, ips: ipsOf(pod), host: false } : { ips: [ip], host: false };
  }

  ask(asked: Asked): Opinion {
    const [from, to] = [this.who(asked.from), this.who(asked.to)];
    // "A Pod cannot block access to itself."
    if (from.pod !== undefined && from.pod === to.pod) return { verdict: 'Allow', egress: undefined, ingress: undefined };
    const named = [asked.from, asked.to].find((t) => t.startsWith('ip:'))?.slice(3);
    let six: boolean;
    if (asked.family !== undefined) six = asked.family === 6;
    else if (named !== undefined) six = isSix(named);
    else {
      const four = (w: Who): boolean => w.ips.some((ip) => !isSix(ip));
      const has6 = (w: Who): boolean => w.ips.some(isSix);
      if (four(from) && four(to)) six = false;
      else if (has6(from) && has6(to)) six = true;
      else if (from.ips.length === 0 || to.ips.length === 0) six = isSix([...from.ips, ...to.ips][0] ?? '');
      else six = false;
      if (from.ips.length > 0 && to.ips.length > 0 && !(four(from) && four(to)) && !(has6(from) && has6(to))) { from.ips = []; to.ips = []; }
    }
    // A pod that is not said to have an address has one that nobody knows: "4" or "6" below.
    const ip = (w: Who): string | undefined => (w.pod !== undefined && ipsOf(w.pod).length === 0 ? (six ? '6' : '4') : w.ips.find((one) => isSix(one) === six));
    const egress = this.direction('egress', from, to, ip(to), asked, to);
    const ingress = this.direction('ingress', to, from, ip(from), asked, to);
    return { verdict: egress?.verdict === 'Deny' || ingress?.verdict === 'Deny' ? 'Deny' : 'Allow', egress, ingress };
  }

  private direction(way: 'ingress' | 'egress', subject: Who, peer: Who, peerIp: string | undefined, asked: Asked, destination: Who): Side | undefined {
    if (subject.pod === undefined || subject.host) return undefined;
    const cluster = (tier: 'Admin' | 'Baseline'): Side | undefined => this.clusterTier(tier, way, subject, peer, peerIp, asked, destination);
    const last: Side = { verdict: 'Allow', by: 'Default' };
    const admin = cluster('Admin');
    if (admin !== undefined) return admin;
    const own = templateOf(subject.pod).spec?.nodeName;
    const fromOwnNode = own !== undefined && (peer.pod === undefined || peer.host) && (peer.host ? templateOf(peer.pod).spec.nodeName : peer.node?.metadata.name) === own;
    const namespaced = fromOwnNode ? undefined : this.networkPolicies(way, subject, peer, peerIp, asked, destination);
    return namespaced ?? cluster('Baseline') ?? last;
  }

  private networkPolicies(way: 'ingress' | 'egress', subject: Who, peer: Who, peerIp: string | undefined, asked: Asked, destination: Who): Side | undefined {
    const all = this.kind('NetworkPolicy').filter((p) => namespaceOf(p) === namespaceOf(subject.pod) && selected(p.spec?.podSelector ?? {}, labelsOf(subject.pod)));
    const applies = all.filter((p) => {
      const types: string[] = p.spec?.policyTypes ?? [];
      if (types.length > 0) return types.includes(way === 'ingress' ? 'Ingress' : 'Egress');
      return way === 'ingress' || (p.spec?.egress ?? []).length > 0;
    });
    if (applies.length === 0) return undefined;
    const name = (p: Raw): string => `${namespaceOf(p)}/${p.metadata.name}`;
    applies.sort((a, b) => (name(a) < name(b) ? -1 : 1));
    for (const policy of applies) {
      const rules: Raw[] = policy.spec?.[way] ?? [];
      for (let i = 0; i < rules.length; i++) {
        const peers: Raw[] = (way === 'ingress' ? rules[i]?.from : rules[i]?.to) ?? [];
        const ports: Raw[] = rules[i]?.ports ?? [];
        const peerFits = peers.length === 0 || peers.some((p) => this.networkPolicyPeer(p, namespaceOf(policy), peer, peerIp));
        const portFits = ports.length === 0 || ports.some((p) => this.port(p.protocol ?? 'TCP', p.port, p.endPort, asked, destination));
        if (peerFits && portFits) return { verdict: 'Allow', by: `NetworkPolicy ${name(policy)} ${way}[${i}]` };
      }
    }
    return { verdict: 'Deny', by: `NetworkPolicy ${name(applies[0])} default-deny` };
  }

  private networkPolicyPeer(entry: Raw, namespace: string, peer: Who, peerIp: string | undefined): boolean {
    if (entry.ipBlock) {
      if (peerIp === undefined || !inBlock(peerIp, entry.ipBlock.cidr)) return false;
      if (peerIp.length === 1 && (entry.ipBlock.except ?? []).length > 0) return false;
      return !(entry.ipBlock.except ?? []).some((except: string) => inBlock(peerIp, except));
    }
    if (peer.pod === undefined || peer.host) return false;
    if (entry.namespaceSelector) {
      if (!selected(entry.namespaceSelector, this.namespaceLabels(namespaceOf(peer.pod)))) return false;
    } else if (namespaceOf(peer.pod) !== namespace) return false;
    return entry.podSelector ? selected(entry.podSelector, labelsOf(peer.pod)) : true;
  }

  private port(protocol: string | undefined, port: number | string | undefined, endPort: number | undefined, asked: Asked, destination: Who): boolean {
    if (protocol !== undefined && protocol !== asked.protocol) return false;
    if (port === undefined) return true;
    if (typeof port === 'number') return asked.port !== undefined && asked.port >= port && asked.port <= (endPort ?? port);
    if (destination.pod === undefined) return false;
    return (templateOf(destination.pod).spec?.containers ?? []).some((c: Raw) => (c.ports ?? []).some((p: Raw) =>
      p.name === port && (p.protocol ?? 'TCP') === asked.protocol && p.containerPort === asked.port));
  }

  private clusterTier(tier: 'Admin' | 'Baseline', way: 'ingress' | 'egress', subject: Who, peer: Who, peerIp: string | undefined, asked: Asked, destination: Who): Side | undefined {
    const policies: { priority: number; raw: Raw }[] = [];
    for (const raw of this.objects) {
      if (raw.kind === 'AdminNetworkPolicy' && tier === 'Admin') policies.push({ priority: raw.spec.priority, raw });
      if (raw.kind === 'BaselineAdminNetworkPolicy' && tier === 'Baseline') policies.push({ priority: Infinity, raw });
      if (raw.kind === 'ClusterNetworkPolicy' && raw.spec.tier === tier) policies.push({ priority: raw.spec.priority, raw });
    }
    policies.sort((a, b) => (a.priority !== b.priority ? a.priority - b.priority : a.raw.metadata.name !== b.raw.metadata.name ? (a.raw.metadata.name < b.raw.metadata.name ? -1 : 1) : a.raw.kind < b.raw.kind ? -1 : 1));
    for (const { raw } of policies) {
      if (!this.podsOf(raw.spec.subject, subject)) continue;
      const rules: Raw[] = raw.spec[way] ?? [];
      for (let i = 0; i < rules.length; i++) {
        const rule = rules[i];
        const peers: Raw[] = way === 'ingress' ? rule.from : rule.to;
        if (!peers.some((p) => this.clusterPeer(p, peer, peerIp))) continue;
        if (!this.clusterPorts(rule, asked, destination)) continue;
        if (rule.action === 'Pass') return undefined;
        return { verdict: rule.action === 'Deny' ? 'Deny' : 'Allow', by: `${raw.kind} ${raw.metadata.name} ${rule.name ? rule.name : `${way}[${i}]`}` };
      }
    }
    return undefined;
  }

  private podsOf(entry: Raw, who: Who): boolean {
    if (who.pod === undefined || who.host) return false;
    const namespace = this.namespaceLabels(namespaceOf(who.pod));
    if (entry.namespaces) return selected(entry.namespaces, namespace);
    return selected(entry.pods.namespaceSelector ?? {}, namespace) && selected(entry.pods.podSelector, labelsOf(who.pod));
  }

  private clusterPeer(entry: Raw, peer: Who, peerIp: string | undefined): boolean {
    if (entry.namespaces || entry.pods) return this.podsOf(entry, peer);
    if (entry.nodes) return peer.node !== undefined && selected(entry.nodes, peer.node.metadata.labels ?? {});
    if (entry.networks) return peerIp !== undefined && entry.networks.some((cidr: string) => inBlock(peerIp, cidr));
    return false;
  }

  private clusterPorts(rule: Raw, asked: Asked, destination: Who): boolean {
    if (rule.ports) {
      return rule.ports.some(({ portNumber, portRange, namedPort }: Raw) => {
        if (portNumber) return this.port(portNumber.protocol ?? 'TCP', portNumber.port, undefined, asked, destination);
        if (portRange) return this.port(portRange.protocol ?? 'TCP', portRange.start, portRange.end, asked, destination);
        return this.port(undefined, namedPort, undefined, asked, destination);
      });
    }
    if (rule.protocols) {
      return rule.protocols.some((p: Raw) => {
        if (p.destinationNamedPort) return this.port(undefined, p.destinationNamedPort, undefined, asked, destination);
        const [name = '', of] = Object.entries<Raw>(p)[0] ?? [];
        const { number, range } = of.destinationPort;
        return this.port(name.toUpperCase(), number ?? range.start, number ?? range.end, asked, destination);
      });
    }
    return true;
  }
}
