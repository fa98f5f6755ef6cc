import { type AddressKey, type AddressRecord, type DigestRecord, type EndpointRecord, type Kernel, type PolicyEntry, type PolicyKey, programOf, type ProgramRecord, type RuleRecord, type SlotRecord } from '@osier/dataplane/kernel';
import { Action, AddressKind, Direction, EndpointFlag, Grace, policyKey } from '@osier/dataplane/records';
import { fromMapped16, mapped16 } from '@osier/domain/net/ipv4';
import { type AddressRow, type EndpointRow, type MeaningRow, type PolicyRow, type ProgramRow, type RuleRow, type Rows, type SlotRow, table, type TableName, type Tables } from '@osier/domain/reconcile/tables';

/** Rows of the pure core ↔ records of the kernel. Nothing is decided here. */
type Records = {
  addresses: [AddressKey, AddressRecord]; endpoints: [number, EndpointRecord]; policy: [PolicyKey, PolicyEntry];
  rules: [number, RuleRecord]; programs: [number, ProgramRecord]; slots: [number, SlotRecord]; identities: [number, DigestRecord]; policies: [number, DigestRecord];
};

export const toRecord: { [T in TableName]: (row: Rows[T]) => Records[T] } = {
  addresses: (r) => [{ rd: r.rd, address: mapped16(r.address) }, {
    kind: r.tunnel === '' ? AddressKind.local : AddressKind.remote, network: r.network, targetRd: r.rd, ifindex: r.ifindex,
    tunnel: r.tunnel === '' ? new Uint8Array(16) : mapped16(r.tunnel), identity: [...r.identity], mac: macBytes(r.mac),
  }],
  endpoints: (r) => [r.ifindex, { rd: r.rd, network: r.network, policy: [...r.policy], address: mapped16(r.address), mac: macBytes(r.mac), flags: EndpointFlag.active, shadow: [...r.shadow] }],
  policy: (r) => [
    { prefixlen: r.prefixlen, policy: r.policy, peer: r.peer, direction: typeof r.direction === 'number' ? r.direction as Direction : Direction[r.direction], protocol: r.protocol, port: r.port },
    { precedence: r.precedence, rule: r.rule, action: actions[r.action], tier: r.tier, place: r.place },
  ],
  rules: (r) => [r.number, {
    policyId: idBytes(r.policyId), ruleIndex: r.index, direction: Direction[r.direction], action: actions[r.action], precedence: r.priority, grace: r.grace === 'endless' ? Grace.endless : r.grace,
  }],
  programs: (r) => [r.program, programOf(numbersIn(r.slots))],
  slots: (r) => [r.slot, { layer: [...r.layer], digest: hexBytes(r.digest) }],
  identities: (r) => [r.number, { digest: hexBytes(r.digest) }],
  policies: (r) => [r.number, { digest: hexBytes(r.digest) }],
};

/**
 * What the kernel holds, as rows. A record that no row of ours could have made is shown as one that differs from any (network 0,
 * rule 0), so that it is replaced.
 */
export function readTables(kernel: Kernel): Tables {
  return {
    addresses: table('addresses', kernel.addresses.list().map(([k, r]): AddressRow => {
      const local = r.kind === AddressKind.local;
      return {
        rd: k.rd, address: addressText(k.address), network: r.targetRd === k.rd ? r.network : 0, ifindex: local ? r.ifindex : 0,
        tunnel: local ? '' : addressText(r.tunnel), mac: local ? macText(r.mac) : '', identity: r.identity,
      };
    })),
    endpoints: table('endpoints', kernel.endpoints.list().map(([ifindex, r]): EndpointRow => ({
      ifindex, rd: r.rd, network: r.flags === EndpointFlag.active ? r.network : 0, address: addressText(r.address), mac: macText(r.mac), policy: r.policy, shadow: r.shadow,
    }))),
    policy: table('policy', kernel.policy.list().map(([key, e]): PolicyRow => {
      const k = withinPrefix(key);
      return {
        policy: k.policy, peer: k.peer, direction: directionName(k.direction), prefixlen: k.prefixlen, protocol: k.protocol, port: k.port,
        action: actionName(e.action), tier: e.tier, precedence: e.precedence, place: e.place, rule: Object.values(actions).includes(e.action) ? e.rule : 0,
      };
    })),
    rules: table('rules', kernel.rules.list().map(([number, r]): RuleRow => ({
      number, policyId: idText(r.policyId), index: r.ruleIndex, direction: r.direction === Direction.egress ? 'egress' : 'ingress',
      action: actionName(r.action), priority: r.precedence, grace: r.grace === Grace.endless ? 'endless' : r.grace,
    }))),
    programs: table('programs', kernel.programs.list().map(([program, r]): ProgramRow => ({ program, slots: r.slots.slice(0, r.slots.findLastIndex((slot) => slot !== 0) + 1).join(' ') }))),
    slots: table('slots', kernel.slots.list().map(([slot, r]): SlotRow => ({ slot, layer: r.layer, digest: hexText(r.digest) }))),
    identities: table('identities', kernel.identities.list().map(([number, r]): MeaningRow => ({ number, digest: hexText(r.digest) }))),
    policies: table('policies', kernel.policies.list().map(([number, r]): MeaningRow => ({ number, digest: hexText(r.digest) }))),
  };
}

const actions = { Allow: Action.allow, Deny: Action.deny, Pass: Action.pass } as const;
const actionName = (value: number): PolicyRow['action'] => (value === Action.allow ? 'Allow' : value === Action.pass ? 'Pass' : 'Deny');
const numbersIn = (text: string): number[] => (text === '' ? [] : text.split(' ').map(Number));
const directionName = (value: number): PolicyRow['direction'] => (value === Direction.egress ? 'egress' : value === Direction.ingress ? 'ingress' : value);
const lengthBytes = 4;
const wholeKey = (policyKey.size - lengthBytes) * 8;
/** The trie takes two keys for one that differ only behind their prefix, and shows what was given last. */
function withinPrefix(key: PolicyKey): PolicyKey {
  if (key.prefixlen >= wholeKey) return key;
  const view = new DataView(new ArrayBuffer(policyKey.size));
  policyKey.encode(view, 0, key);
  const [whole, rest] = [lengthBytes + (key.prefixlen >> 3), key.prefixlen & 7];
  view.setUint8(whole, view.getUint8(whole) & (0xff00 >> rest));
  for (let at = whole + 1; at < policyKey.size; at++) view.setUint8(at, 0);
  return policyKey.decode(view, 0);
}

export const hexText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const hexBytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
export const macText = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join(':');
export const macBytes = (text: string): Uint8Array => (text === '' ? new Uint8Array(6) : hexBytes(text.replaceAll(':', '')));
/** Another kind of address than IPv4 is shown in hex, which equals no row of ours. */
export const addressText = (bytes: Uint8Array): string => fromMapped16(bytes) ?? hexText(bytes);
const idBytes = (id: string): Uint8Array => (id === '' ? new Uint8Array(16) : hexBytes(id.replaceAll('-', '')));
export function idText(bytes: Uint8Array): string {
  if (bytes.every((b) => b === 0)) return '';
  return hexText(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
