import { type Counterexample, type Outcome, toChange } from '@osier/domain/review/check';

/** Where a packet met other than the rules decide: the rules are not to be changed then. */
const isAgainstRules = ({ decision, expected }: Counterexample): boolean => decision.verdict !== (expected === 'deny' ? 'Allow' : 'Deny');
const changeOf = (counterexample: Counterexample): string[] => (isAgainstRules(counterexample) ? [] : toChange(counterexample));

export interface Told { readonly outcome: Outcome; readonly line: number }

const familyText = (family: 4 | 6 | undefined): string => (family === undefined ? '' : ` (IPv${family})`);
const packetText = ({ from, to, protocol, port, family }: Counterexample): string => `${from} → ${to}  ${protocol}${protocol === 'ICMP' ? '' : ` ${port}`}${familyText(family)}`;

/** Names of policies followed by where they stand. */
const withPlaces = (text: string, places: ReadonlyMap<string, string>): string => {
  const found = [...places].find(([policy]) => text.endsWith(policy));
  return found === undefined ? text : `${text} (${found[1]})`;
};

export function resultOf({ outcome, line }: Told, places: ReadonlyMap<string, string>): Record<string, unknown> {
  const { assertion, result } = outcome;
  const base = { name: assertion.name, line, result };
  switch (outcome.result) {
    case 'holds': return { ...base, pairs: outcome.pairs, ownNodePairs: outcome.exempt };
    case 'fails': {
      const { decision, expected, from, to, protocol, port, family } = outcome.counterexample;
      const packet = { from, to, protocol, port, family: family ?? null };
      const { verdict, tier, kind, policy, rule, reason } = decision;
      return {
        ...base, pairs: outcome.pairs, ownNodePairs: outcome.exempt, wrongPairs: outcome.wrong,
        counterexample: { ...packet, expected: expected === 'deny' ? 'Deny' : 'Allow', verdict, tier, kind, policy, rule, reason, place: places.get(`${kind} ${policy}`) ?? null, egress: decision.egress ?? null, ingress: decision.ingress ?? null, againstRules: isAgainstRules(outcome.counterexample), change: changeOf(outcome.counterexample).map((text) => withPlaces(text, places)) },
      };
    }
    case 'vacuous': return { ...base, reason: outcome.reason, fix: outcome.fix };
    case 'undecidable': return { ...base, reason: outcome.reason };
  }
}

const pairsText = (count: number): string => `${count} ${count === 1 ? 'pair' : 'pairs'}`;
const exemptText = (count: number): string => (count === 0 ? '' : `; ${pairsText(count)} of a pod and its own node, which no NetworkPolicy can part, not counted`);

function lines({ outcome, line }: Told, file: string, places: ReadonlyMap<string, string>): string[] {
  const { name } = outcome.assertion;
  const at = `${file}:${line}`;
  switch (outcome.result) {
    case 'holds': return [`ok    ${name}  (${pairsText(outcome.pairs)}${exemptText(outcome.exempt)})`];
    case 'vacuous': return [`FAIL  ${name}  ${at}`, `      ${outcome.reason}`, `      fix: ${outcome.fix}`];
    case 'undecidable': return [`FAIL  ${name}  ${at}`, `      it depends on what cannot be evaluated: ${outcome.reason}`];
    case 'fails': {
      const { counterexample, wrong, pairs, exempt } = outcome;
      const { decision, expected } = counterexample;
      const tier = decision.policy === null || decision.tier === decision.kind || decision.tier === 'Project' ? '' : ` (tier ${decision.tier})`;
      const others = (['egress', 'ingress'] as const).flatMap((direction) => {
        const of = decision[direction];
        return of === undefined || of.reason === decision.reason || of.policy === null || of.verdict !== decision.verdict ? [] : [`      ${of.reason}`];
      });
      const change = changeOf(counterexample).map((text) => withPlaces(text, places));
      return [
        `FAIL  ${name}  ${at}`,
        `      ${packetText(counterexample)}  ${expected === 'deny' ? 'gets through, and should not' : 'is denied, and should get through'}`,
        ...(isAgainstRules(counterexample) ? ['      but the rules say otherwise; where these are in force, the nodes do not hold them: osier get nodes'] : []),
        `      ${decision.reason}${tier}`, ...others,
        ...(change.length === 0 ? [] : [`      to change: ${change.join(expected === 'deny' ? '; or ' : '; and ')}`]),
        `      ${wrong} of ${pairsText(pairs)} wrong${exemptText(exempt)}`,
      ];
    }
  }
}

export function testText(all: readonly Told[], file: string, places: ReadonlyMap<string, string>): string {
  const failed = all.filter(({ outcome }) => outcome.result !== 'holds').length;
  const sum = failed === 0 ? `${all.length} of ${all.length} hold` : `${all.length - failed} of ${all.length} hold, ${failed} ${failed === 1 ? 'fails' : 'fail'}`;
  return [...all.flatMap((told) => lines(told, file, places)), '', sum].join('\n');
}
