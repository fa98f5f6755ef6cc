import type { Decision } from '@osier/domain/rules/explain';
import type { World } from '@osier/domain/rules/model';
import { table } from '../output.ts';
import type { Question } from './probes.ts';
import type { ObjectProblem, Sources } from './sources.ts';

export interface Answer { readonly question: Question; readonly decision: Decision | Undecided }
/** It depends on what cannot be evaluated; `policy` is whose. */
export interface Undecided extends Omit<Decision, 'verdict' | 'tier' | 'rule'> { readonly verdict: 'Undecided'; readonly tier: null; readonly rule: null }

/** An answer as it is printed: the fields of the probe, then the verdict. */
export const answerOf = ({ question, decision }: Answer): Record<string, unknown> => ({ ...question.probe, ...decision, egress: decision.egress ?? null, ingress: decision.ingress ?? null });

export const isUndecided = ({ decision }: Answer): boolean => decision.verdict === 'Undecided';

const portOf = ({ protocol, port }: Question): string => (port === undefined ? protocol : `${protocol} ${port}`);
const decidedBy = ({ tier, kind, policy, rule, reason }: Answer['decision']): string => (rule === null ? reason : policy === null ? (tier !== 'Default' ? rule : rule === 'self' ? 'itself' : 'no policy') : `${kind} ${policy}, ${rule}${tier === kind || tier === 'Project' ? '' : ` (${tier})`}`);

/** One answer as a paragraph, several as a list; of a matrix the pairs that are denied stand out by their word. */
export function answersText(answers: readonly Answer[]): string {
  const [only] = answers;
  if (only !== undefined && answers.length === 1) {
    const { question, decision } = only;
    const side = (name: string, of: Decision['egress']): string[] => (of === undefined || of.reason === decision.reason ? [] : [`  ${name}: ${of.reason}`]);
    return [`${decision.verdict}  ${question.probe.from} → ${question.probe.to}  ${portOf(question)}`, `  ${decision.reason}`, ...side('egress', decision.egress), ...side('ingress', decision.ingress)].join('\n');
  }
  const allowed = answers.filter(({ decision }) => decision.verdict === 'Allow').length;
  const rows = answers.map(({ question, decision }) => [question.probe.from, question.probe.to, portOf(question), decision.verdict, decidedBy(decision)]);
  const undecided = answers.filter(isUndecided).length;
  return `${table(['FROM', 'TO', 'PORT', 'VERDICT', 'DECIDED BY'], rows)}\n\n${answers.length} asked: ${allowed} allowed, ${answers.length - allowed - undecided} denied${undecided === 0 ? '' : `, ${undecided} not decided`}`;
}

const objectName = ({ kind, namespace, name }: ObjectProblem): string => `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`.trim();
export const problemText = (problem: ObjectProblem): string =>
  [`${problem.file}:${problem.line}`, [objectName(problem), problem.field].filter((part) => part !== '').join(', '), problem.reason].filter((part) => part !== '').join(': ');

/** What is not known where pods have no address and rules are by address. */
export function addressDoubt({ parties, policies }: World): string | undefined {
  const unknown = parties.filter(({ addresses, segment }) => addresses.length === 0 && segment === undefined);
  const first = policies.find(({ ingress, egress }) => [...ingress, ...egress].some(({ peers }) => peers?.some((peer) => peer.type === 'block') === true));
  if (unknown.length === 0 || first === undefined) return undefined;
  return `${unknown.length} pods have no address in status.podIPs (${unknown[0]?.name} is one): rules by address such as those of ${first.kind} ${first.name} match them only where they match every address`;
}

export function validationText({ problems, warnings, objects, ignored }: Sources): string {
  const passed = ignored === 0 ? '' : `; ${ignored} of them of kinds that no verdict depends on, and not looked into`;
  const bad = new Set(problems.map((p) => `${p.file} ${p.document} ${objectName(p)}`)).size;
  return [
    ...problems.map(problemText), ...warnings.map((warning) => `${problemText(warning)} (a warning: API servers before 1.36 accept it)`),
    `${objects} objects${passed}: ${bad === 0 ? 'all would be accepted' : `${bad} would be rejected`}`,
  ].join('\n');
}
