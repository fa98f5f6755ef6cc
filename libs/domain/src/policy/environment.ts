import type { Selector, Tags } from '@osier/contracts/names';
import { compileProgram, type Program } from './compile.ts';
import { classifier, type Identity, peerSelectors } from './identity.ts';
import type { Digest, Policy } from './model.ts';
import { selecting } from './order.ts';

/** What one node must know of one environment: who its endpoints are to the rules, and what the rules are of those that run here. */
export interface CompiledEnvironment {
  identityOf(tags: Tags): Identity;
  programOf(tags: Tags): Program;
}

/** `local`: tags of this node's endpoints. `all`: tags of every endpoint of the environment that the node knows, the local ones among them. */
export function compileEnvironment(environment: string, policies: readonly Policy[], local: readonly Tags[], all: readonly Tags[], digest: Digest): CompiledEnvironment {
  const inForce = policies.filter((policy) => local.some((tags) => selecting([policy], tags).length > 0));
  const selectors: ReadonlyMap<string, Selector> = peerSelectors(inForce);
  const identityOf = classifier(environment, selectors, digest);
  const identities = [...new Map(all.map(identityOf).map((i) => [i.digest, i])).values()];
  const programs = new Map<string, Program>();
  const programOf = (tags: Tags): Program => {
    const selected = selecting(inForce, tags);
    const key = selected.map((p) => p.id).join(' ');
    const program = programs.get(key) ?? compileProgram(environment, selected, identities, digest);
    programs.set(key, program);
    return program;
  };
  return { identityOf, programOf };
}
