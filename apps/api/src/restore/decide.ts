import type { Manifest, RestoreAnswer } from '@osier/contracts/backup';
import { type Problem, problem } from '@osier/contracts/problem';

export type Looks = ReadonlyMap<string, RestoreAnswer>;
export type RestorePlan = { readonly do: 'begin' } | { readonly do: 'finish' } | { readonly do: 'refuse'; readonly problem: Problem };
const refuse = (...args: Parameters<typeof problem>): RestorePlan => ({ do: 'refuse', problem: problem(...args) });

/**
 * What to do with an installation that is to be restored from this backup. Services are finished only when all of them are loaded, so where one is done and another
 * is loaded, nothing but the last step is left.
 */
export function planRestore(manifest: Manifest, archive: string, looks: Looks): RestorePlan {
  for (const part of manifest.parts) {
    const known = part.type === 'database' ? looks.get(part.service)?.schemas : undefined;
    if (part.type === 'database' && known?.includes(part.schema) !== true) {
      return refuse('newer-schema', 'archive', `The backup has a database of ${part.service} of schema ${part.schema}, which this version of Osier does not know.`, 'Use the version of Osier that made it, or a newer one.');
    }
  }
  const all = [...looks.values()];
  const ours = all.every((look) => look.archive === archive);
  if (ours && all.every((look) => look.phase === 'done')) return refuse('restored-already', '', 'This installation was restored from this very backup, and works.', 'Nothing is left to do.');
  if (ours && all.every((look) => look.phase === 'loaded' || look.phase === 'done')) return { do: 'finish' };
  for (const [service, look] of looks) {
    if (!look.working || look.holds === undefined) continue;
    const half = all.some((other) => !other.working);
    return half
      ? refuse('another-archive', 'archive', 'A restore from another backup was interrupted when it was nearly done.', `Run osier restore with that file again; its digest begins with ${look.archive?.slice(0, 12) ?? 'that of the first try'}.`)
      : refuse('not-empty', '', `This installation is not empty: ${service} has ${look.holds}. A restore would lose it.`, 'Restore into an installation that was just made, with nothing in it but nodes, domains and credentials.');
  }
  return { do: 'begin' };
}
