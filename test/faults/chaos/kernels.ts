import { readBack } from '@osier/dataplane/witness';
import type { Lab } from '@osier/lab/lab';
import { nodeNamespace } from '@osier/lab/names';
import type { Stored } from './databases.ts';

const text = (address: Uint8Array): string => [...address.subarray(12)].join('.');
const macText = (mac: Uint8Array): string => [...mac.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

export interface Compared { readonly wrong: readonly string[]; readonly endpoints: number; readonly addresses: number; readonly rules: number }

/** Every node's kernel, as the witness reads it, against what STATE says: endpoints, addresses, and whose rules are in it. */
export function compareKernels(lab: Lab, state: readonly Stored[]): Compared {
  const active = state.filter((d) => d.phase === 'active');
  const wrong: string[] = [];
  const total = { endpoints: 0, addresses: 0, rules: 0 };
  for (const node of lab.record.nodes) {
    const dump = readBack({ pinDir: lab.paths.pins(node.name), netnsPath: `/run/netns/${nodeNamespace(lab.record.name, node.name)}` });
    const want = wishedOf(active, node.name);
    const differ = (what: string, found: readonly string[], wished: readonly string[]): void => {
      for (const item of found) if (!wished.includes(item)) wrong.push(`${node.name} has ${what} ${item}, and should not`);
      for (const item of wished) if (!found.includes(item)) wrong.push(`${node.name} has not ${what} ${item}, and should`);
      if (new Set(found).size !== found.length) wrong.push(`${node.name} has ${what} twice`);
    };
    differ('endpoint', dump.endpoints.map((e) => `${e.rd} ${text(e.address)} ${macText(e.mac)} ${e.network} ${e.active ? 'active' : 'inactive'}`), want.endpoints);
    differ('address', dump.addresses.map((a) => `${a.rd} ${text(a.address)} ${a.network} ${a.kind === 'remote' ? text(a.tunnel) : `${a.kind} ${macText(a.mac)}`}`), want.addresses);
    differ('verdicts of policy', ownersOf(dump), want.policies);
    total.endpoints += dump.endpoints.length;
    total.addresses += dump.addresses.length;
    total.rules += dump.rules.length;
  }
  return { wrong, ...total };
}

/** Whose rules decide for an endpoint of this node, through its program, the slots of that and the layer of each; a rule that no verdict names any more may still be there, for its name. */
function ownersOf(dump: ReturnType<typeof readBack>): string[] {
  const column = dump.epoch & 1;
  const slotsOf = new Map(dump.programs.map(({ program, slots }) => [program, slots]));
  const layerOf = new Map(dump.slots.map(({ slot, layer }) => [slot, layer[column]]));
  const layers = new Set(dump.endpoints.flatMap((e) => {
    const program = e.policy[column] ?? 0;
    return slotsOf.get(program)?.map((slot) => layerOf.get(slot)) ?? [program];
  }));
  const rules = new Set(dump.policy.filter((entry) => layers.has(entry.policy)).map((entry) => entry.rule));
  return [...new Set(dump.rules.filter((rule) => rules.has(rule.rule) && !/^0+$/.test(rule.policyId)).map((rule) => rule.policyId))];
}

type Named = Stored & { readonly spec: { readonly node?: string; readonly tunnelEndpoint?: string; readonly tags?: Readonly<Record<string, string>>; readonly appliesTo?: Selector } };
interface Selector { readonly matchTags?: Readonly<Record<string, string>>; readonly matchExpressions?: readonly unknown[] }

function wishedOf(active: readonly Stored[], node: string): { endpoints: string[]; addresses: string[]; policies: string[] } {
  const of = (kind: string): Named[] => active.filter((d) => d.kind === kind) as Named[];
  const tunnels = new Map(of('node').map((d) => [d.name, d.spec.tunnelEndpoint ?? '']));
  const networks = new Map(of('network').map((d) => [d.id, d]));
  const number = (d: Stored): string => String(networks.get(d.parent)?.status.number);
  const vni = (d: Stored): string => String(networks.get(d.parent)?.status.vni);
  const here = of('endpoint').filter((d) => d.spec.node === node);
  const concerned = new Set(here.map((d) => d.parent));
  const known = of('endpoint').filter((d) => concerned.has(d.parent));
  const place = (d: Stored): string => `${vni(d)} ${String(d.status.address)} ${String(d.status.mac)} ${number(d)}`;
  return {
    endpoints: here.map((d) => `${place(d)} active`),
    addresses: known.map((d) => `${vni(d)} ${String(d.status.address)} ${number(d)} ${d.spec.node === node ? `local ${String(d.status.mac)}` : tunnels.get(d.spec.node ?? '')}`),
    policies: of('policy').filter((policy) => decides(policy) && here.some((d) => d.environment === policy.environment && selects(policy.spec.appliesTo ?? {}, d.spec.tags ?? {}))).map((d) => d.id.replaceAll('-', '')),
  };
}

const decides = ({ spec }: Stored): boolean => [spec.ingress, spec.egress, spec.isolates].some((rules) => Array.isArray(rules) && rules.length > 0);
function selects(selector: Selector, tags: Readonly<Record<string, string>>): boolean {
  if (selector.matchExpressions !== undefined) throw new Error('this run has no such selectors');
  return Object.entries(selector.matchTags ?? {}).every(([key, value]) => tags[key] === value);
}
