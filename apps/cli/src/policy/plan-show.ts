import { type Member, ownNode } from '@osier/domain/review/alike';
import type { Cause, Change, Comparison } from '@osier/domain/review/compare';
import { type Finding, ruleText } from '@osier/domain/review/findings';
import { portsText } from '@osier/domain/review/ports';
import { table } from '../output.ts';
import type { Census } from './names.ts';

export interface Planned { readonly comparison: Comparison; readonly findings: readonly (Finding & { readonly since: 'before' | 'now' })[]; readonly protocols: readonly string[] }

const distinct = (members: readonly Member[]): Member[] => [...new Set(members)];
const sidesOf = ({ pairs }: Change): [Member[], Member[]] => [distinct(pairs.flatMap(({ from }) => from.members)), distinct(pairs.flatMap(({ to }) => to.members))];

function whereOf({ pairs: [first] }: Change): 'own-node' | 'other-nodes' | undefined {
  if (first?.only === undefined) return undefined;
  const [a, b] = first.sample;
  return a.sides.some((side, i) => ownNode(side, b.sides[i])) ? 'own-node' : 'other-nodes';
}
const whereText = { 'own-node': ' on the same node', 'other-nodes': ' on other nodes' } as const;

export function causeText(cause: Cause): string {
  if (!('rule' in cause)) return cause.type === 'new' ? 'a side of it is new' : 'a side of it goes';
  if (cause.policy === null) return cause.rule === 'unreachable' ? 'in different environments' : cause.rule === 'no-connection' ? 'in different networks' : 'no policy decides';
  const rule = ruleText({ kind: cause.kind ?? '', name: cause.policy }, cause.rule);
  return cause.type === 'now' ? `by ${rule}` : `no longer by ${rule}`;
}

const familyText = (families: Change['families']): string => (families.length === 1 && families[0] === 6 ? ' (IPv6)' : '');

const familyOf = (...members: readonly (Member | undefined)[]): number | null => members.find((member) => member?.name.startsWith('ip:') === true)?.sides.find((side) => side !== undefined)?.addresses[0]?.family ?? null;

export function changeOf(change: Change): Record<string, unknown> {
  const [from, to] = sidesOf(change);
  const [port] = change.ports;
  const [a, b] = change.pairs[0]?.sample ?? [];
  const where = whereOf(change);
  return {
    effect: change.effect, from: from.map(({ name }) => name), to: to.map(({ name }) => name), ...(where === undefined ? {} : { where }), pairs: change.count,
    ports: change.ports, families: change.families.map((family) => family ?? null), cause: change.cause,
    example: { from: a?.name, to: b?.name, protocol: port?.protocol, port: port?.first, family: change.families[0] ?? familyOf(a, b) },
  };
}

const count = (changes: readonly Change[], effect: Change['effect']): number => changes.filter((change) => change.effect === effect).reduce((sum, change) => sum + change.count, 0);
const pairsText = (pairs: number): string => `${pairs} ${pairs === 1 ? 'pair' : 'pairs'}`;
const [shownNames, shownRules] = [3, 2];
const someOf = (names: readonly string[], most: number): string => `${names.slice(0, most).join(', ')}${names.length > most ? ` and ${names.length - most} more` : ''}`;
const meanings: Record<Finding['finding'], (by: string) => string> = {
  dead: () => 'matches nobody', unreachable: (by) => `always behind ${by}`, redundant: (by) => `without it no verdict changes: ${by} decides`,
};

function findingText({ finding, kind, policy, rule, by }: Finding): string[] {
  const what = rule === undefined ? `${kind} ${policy}` : ruleText({ kind, name: policy }, rule);
  return [finding, what, rule === undefined ? 'selects nobody' : meanings[finding](someOf(by, shownRules))];
}

export function planText({ comparison, findings, protocols }: Planned, name: Census): string {
  const { changes, undecided, endpoints } = comparison;
  const rows = [...changes].sort((a, b) => (a.effect === b.effect ? b.count - a.count : a.effect === 'opens' ? -1 : 1)).map((change) => {
    const [from, to] = sidesOf(change);
    const where = whereOf(change);
    return [change.effect, `${name(from)} → ${name(to)}${where === undefined ? '' : whereText[where]}`, `${portsText(change.ports, protocols)}${familyText(change.families)}`, causeText(change.cause)];
  });
  const now = findings.filter(({ since }) => since === 'now');
  const before = findings.length - now.length;
  return [
    rows.length === 0 ? 'nothing opens and nothing closes' : table(['EFFECT', 'FROM → TO', 'PORTS', 'WHY'], rows),
    ...(now.length === 0 ? [] : ['', table(['FINDING', 'RULE', 'WHY'], now.map(findingText))]),
    '',
    ...(rows.length === 0 ? [] : [`${pairsText(count(changes, 'opens'))} open, ${pairsText(count(changes, 'closes'))} close`]),
    ...(['new', 'gone'] as const).flatMap((key) => (endpoints[key].length === 0 ? [] : [`${endpoints[key].length} ${key}: ${someOf(endpoints[key], shownNames)}`])),
    ...(before === 0 ? [] : [`${before} ${before === 1 ? 'rule was' : 'rules were'} dead, unreachable or redundant before as well: -o json lists them`]),
    ...[...undecided].map(([reason, pairs]) => `not decided for ${pairsText(pairs)}, which depend on what cannot be evaluated: ${reason}`),
  ].join('\n').trimEnd();
}
