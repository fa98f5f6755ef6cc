import { compileLayer, type Layer, type Program, programOf, slotsOf } from './compile.ts';
import { classifier, type Identity } from './identity.ts';
import { instantiate, portKey, readsOf, viewOf } from './instance.ts';
import { meets, type NamedPort, subjectsOf } from './matcher.ts';
import type { Digest, Member, Policy } from './model.ts';
import { byText, tierOf } from './order.ts';

/** What one node must know of one environment: who its endpoints are to the rules, and what the rules are of those that run here. */
export interface CompiledEnvironment {
  identityOf(member: Member): Identity;
  programOf(member: Member): Program;
  /** What its program would be if the shadow policies that select it were in force; undefined where none does. */
  shadowOf(member: Member): Program | undefined;
  /** Of the slots of all programs and shadows. */
  readonly layers: ReadonlyMap<string, Layer>;
}

/** `local`: this node's endpoints. `all`: every endpoint of the environment that the node knows, the local ones among them. `room`: slots of a program. */
export function compileEnvironment(environment: string, policies: readonly Policy[], local: readonly Member[], all: readonly Member[], digest: Digest, room: number): CompiledEnvironment {
  const declared = (name: string): NamedPort[] => [...new Map(all.flatMap(({ ports }) => ports.filter((p) => p.name === name).map((p) => [portKey(p), p]))).values()];
  const selecting = (member: Member) => policies.filter((policy) => isSubject(policy, member)).sort((a, b) => byText(a.name, b.name) || byText(a.id, b.id))
    .map((policy) => ({ policy, id: policy.id, tier: tierOf(policy), view: viewOf(readsOf(policy), member), instance: instantiate(policy, member, environment, declared) }));
  const matchers = new Map(local.flatMap(selecting).flatMap(({ instance }) => [...instance.matchers]));
  const identityOf = classifier(environment, matchers, digest);
  const identities = [...new Map(all.map(identityOf).map((i) => [i.digest, i])).values()];
  const layers = new Map<string, Layer>();
  const programWith = (selected: ReturnType<typeof selecting>): Program => {
    const slots = slotsOf(environment, selected, room, digest);
    for (const { slot, parts } of slots) layers.set(slot, layers.get(slot) ?? compileLayer(parts.map(({ instance }) => instance), identities, digest));
    return programOf(environment, slots.map(({ slot }) => slot), digest);
  };
  const found = {
    identityOf, layers,
    programOf: (member: Member) => programWith(selecting(member).filter(({ policy }) => policy.shadow !== true)),
    shadowOf: (member: Member) => {
      const selected = selecting(member);
      return selected.some(({ policy }) => policy.shadow === true) ? programWith(selected) : undefined;
    },
  };
  for (const member of local) {
    found.programOf(member);
    found.shadowOf(member);
  }
  return found;
}

function isSubject(policy: Policy, member: Member): boolean {
  const subjects = subjectsOf(policy);
  return subjects !== undefined && meets(subjects, member);
}
