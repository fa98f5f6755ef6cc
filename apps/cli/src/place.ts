import type { Scope } from '@osier/contracts/document';
import { type Kind, kindNames, kinds, type Level } from '@osier/contracts/kinds';
import { none } from '@osier/contracts/names';
import { usage } from './failure.ts';

const plain = (text: string): string => text.toLowerCase().replaceAll(/[-_]/g, '');
const aliases: Record<string, Kind> = { env: 'environment', envs: 'environment', net: 'network', ep: 'endpoint', securitypolicy: 'policy', virtualnetwork: 'network' };

export const findKind = (text: string): Kind | undefined =>
  kindNames.find((kind) => plain(kind) === plain(text) || plain(kinds[kind].plural) === plain(text)) ?? aliases[plain(text)];

/** `network`, `networks`, `VirtualNetwork` → `network` */
export function kindOf(text: string): Kind {
  const kind = findKind(text);
  if (kind === undefined) throw usage(`"${text}" is not a kind of object.`, `Kinds: ${kindNames.join(', ')}.`);
  return kind;
}

export type Place = Partial<Scope>;
export const levels = ['domain', 'project', 'environment'] as const;
const depths: Record<Level, number> = { platform: 0, domain: 1, project: 2, environment: 3 };

/** The scope levels that an object of this kind stands in: an endpoint in all three, a project in its domain. */
export const levelsOf = (kind: Kind): readonly (typeof levels)[number][] => levels.slice(0, depths[kinds[kind].level]);

/** HTTP path of the collection; a level that is not given means every one. */
export function listPath(kind: Kind, place: Place): string {
  const scope = levelsOf(kind).map((level) => `/${level}s/${encodeURIComponent(place[level] ?? none)}`).join('');
  return `/v1${scope}/${kinds[kind].plural}`;
}
export const itemPath = (kind: Kind, place: Place, name: string): string => `${listPath(kind, place)}/${encodeURIComponent(name)}`;

/** `acme/shop/staging/main` */
export const shownPath = (kind: Kind, place: Place, name: string): string => [...levelsOf(kind).map((level) => place[level] ?? '?'), name].join('/');

/** Throws a Failure that names the options for what is missing. */
export function completePlace(kind: Kind, place: Place): Place {
  for (const level of levelsOf(kind)) {
    if (place[level] === undefined) throw usage(`which ${level}? ${kinds[kind].title} is kept in one.`, `Add --${level} NAME (-${level.charAt(0)}), or set OSIER_${level.toUpperCase()}.`);
  }
  return place;
}
