import { type Document, pathOf } from '@osier/contracts/document';
import { parseAddress } from '../net/address.ts';
import type { Member } from '../policy/model.ts';
import type { Tags } from '../rules/model.ts';
import { declaredPorts, environmentPath, scopeTagsOf } from '../rules/osier.ts';

/** An endpoint as the rules see it. */
export function memberOf(e: Document<'endpoint'>): Member {
  const scope = environmentPath(e);
  const address = parseAddress(e.status.address);
  return {
    name: pathOf(e), scope, scopeTags: levelsOf(scope), tags: e.spec.tags,
    ports: e.spec.ports === undefined ? noPorts : declaredPorts(e.spec), addresses: address === undefined ? [] : [address],
  };
}
const noPorts: Member['ports'] = [];
/** One object for all of an environment. */
let last: { readonly scope: string; readonly tags: Tags } | undefined;
function levelsOf(scope: string): Tags {
  if (last?.scope !== scope) last = { scope, tags: scopeTagsOf(scope) };
  return last.tags;
}
