import { compileProgram, type Program } from './compile.ts';
import { classifier, type Identity } from './identity.ts';
import { instantiate, portKey, readsOf, viewOf } from './instance.ts';
import { meets, type NamedPort, subjectsOf } from './matcher.ts';
import type { Digest, Member, Policy } from './model.ts';
import { byText } from './order.ts';

/** What one node must know of one environment: who its endpoints are to the rules, and what the rules are of those that run here. */
export interface CompiledEnvironment {
  identityOf(member: Member): Identity;
  programOf(member: Member): Program;
  /** What its program would be if the shadow policies that select it were in force; undefined where none does. */
  shadowOf(member: Member): Program | undefined;
}

/** `local`: this node's endpoints. `all`: every endpoint of the environment that the node knows, the local ones among them. */
export function compileEnvironment(environment: string, policies: readonly Policy[], local: readonly Member[], all: readonly Member[], digest: Digest): CompiledEnvironment {
  const declared = (name: string): NamedPort[] => [...new Map(all.flatMap(({ ports }) => ports.filter((p) => p.name === name).map((p) => [portKey(p), p]))).values()];
  const instancesOf = (member: Member) => policies.filter((policy) => isSubject(policy, member)).sort((a, b) => byText(a.name, b.name))
    .map((policy) => ({ view: viewOf(readsOf(policy), member), instance: instantiate(policy, member, environment, declared) }));
  const matchers = new Map(local.flatMap(instancesOf).flatMap(({ instance }) => [...instance.matchers]));
  const identityOf = classifier(environment, matchers, digest);
  const identities = [...new Map(all.map(identityOf).map((i) => [i.digest, i])).values()];
  const programs = new Map<string, Program>();
  const programWith = (selected: ReturnType<typeof instancesOf>): Program => {
    const key = JSON.stringify(selected.map(({ instance, view }) => [instance.policy.id, view]));
    const program = programs.get(key) ?? compileProgram(environment, selected.map(({ instance }) => instance), identities, digest);
    programs.set(key, program);
    return program;
  };
  return {
    identityOf,
    programOf: (member) => programWith(instancesOf(member).filter(({ instance }) => instance.policy.shadow !== true)),
    shadowOf: (member) => {
      const selected = instancesOf(member);
      return selected.some(({ instance }) => instance.policy.shadow === true) ? programWith(selected) : undefined;
    },
  };
}

function isSubject(policy: Policy, member: Member): boolean {
  const subjects = subjectsOf(policy);
  return subjects !== undefined && meets(subjects, member);
}
