import type { RestoreAnswer, RestorePhase } from '@osier/contracts/backup';
import { type Kind, kindsOf, type Service } from '@osier/contracts/kinds';
import { restoreMark } from '@osier/store/dump';
import { schemas } from '@osier/store/dump-forward';
import type { Store } from '@osier/store/store';

/**
 * A restore, as a service's database remembers it. What was begun and is not done is not worked on, whatever becomes of the process:
 *
 *   none ──begin──► begun ──load──► loaded ──finish──► done
 *                     ▲───────begin───┘
 */
export interface Standing { readonly phase: RestorePhase; readonly archive?: string }

export async function standingOf(store: Pick<Store, 'mark'>): Promise<Standing> {
  const text = await store.mark(restoreMark);
  return text === undefined ? { phase: 'none' } : (JSON.parse(text) as Standing);
}
export const standingText = (standing: Standing): string => JSON.stringify(standing);
export const setStanding = (store: Store, standing: Standing): Promise<void> => store.setMark(restoreMark, standingText(standing));

/** Whether the database may be worked on. */
export const isWhole = ({ phase }: Standing): boolean => phase === 'none' || phase === 'done';

/** What an installation begins with: nodes and domains that were just registered, and who may ask. The backup's come in their place; agents say hello again. */
const beginnings: readonly Kind[] = ['node', 'domain', 'credential', 'platform-credential'];

/** Something that would be lost. */
async function holdsOf(service: Service, store: Store): Promise<string | undefined> {
  for (const kind of kindsOf(service)) {
    const [found] = beginnings.includes(kind) ? [] : await store.read.listed(kind, {}, { limit: 1 });
    if (found) return `${kind} "${(found.document as { name: string }).name}"`;
  }
  return undefined;
}

export async function look(service: Service, store: Store, working: boolean, ready: boolean): Promise<RestoreAnswer> {
  const { phase, archive } = await standingOf(store);
  const holds = working ? await holdsOf(service, store) : undefined;
  return { phase, ...(archive === undefined ? {} : { archive }), working, ready, ...(holds === undefined ? {} : { holds }), schemas: [...schemas] };
}
