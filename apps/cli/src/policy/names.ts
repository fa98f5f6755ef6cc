import type { Member } from '@osier/domain/review/alike';

/** How many members of a sort there are in all, so that all of them can be told from some. */
export type Census = (members: readonly Member[]) => string;

const isNode = ({ label }: Member): boolean => label.startsWith('node ');
const isOutside = (member: Member): boolean => member.name.startsWith('ip:') && !isNode(member);
const scopeOf = (name: string): string => name.slice(0, name.lastIndexOf('/'));
/** What pods of one workload have in common: `web-6d4cf56db6-x2x7k` and `db-0` without what makes them different. */
const stemOf = (name: string): string => name.replace(/-[a-f0-9]{6,10}-[a-z0-9]{5}$|-\d+$/, '');
const shownNames = 3;

function counted(names: readonly string[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const name of names) found.set(name, (found.get(name) ?? 0) + 1);
  return found;
}

/** Names sets of members so that a tired person can read them: `shop/web-* (3)`, `every pod of shop (12)`, `any other IPv4 address`. */
export function namer(all: readonly Member[], what: 'pod' | 'endpoint'): Census {
  const full = all.filter((member) => !isOutside(member) && !isNode(member)).map(({ name }) => name);
  // Of `acme/shop/staging/web` what is the same for all of them goes without saying; `osier reach` takes the rest as well.
  const projects = new Set(full.map((name) => name.split('/').slice(0, -2).join('/')));
  const [project = ''] = projects;
  const short = (name: string): string => (projects.size === 1 && project !== '' ? name.slice(project.length + 1) : name);
  const parties = full.map(short);
  const [ofScope, ofStem] = [counted(parties.map(scopeOf)), counted(parties.map(stemOf))];
  const totals = { parties: parties.length, nodes: new Set(all.filter(isNode).map(({ label }) => label)).size, outside: all.filter(isOutside).length };
  return (members) => {
    const mine = [...new Set(members.filter((member) => !isOutside(member) && !isNode(member)).map(({ name }) => name))];
    const nodes = [...new Set(members.filter(isNode).map(({ label }) => label))];
    const outside = [...new Set(members.filter(isOutside).map(({ label }) => label))];
    const parts = [...partyNames(mine), ...(nodes.length > 1 && nodes.length === totals.nodes ? ['every node'] : nodes), ...(outside.length > 1 && members.filter(isOutside).length === totals.outside ? ['every address outside'] : outside)];
    return parts.length <= shownNames + 1 ? parts.join(', ') : `${parts.slice(0, shownNames).join(', ')} and ${parts.length - shownNames} more`;
  };
  function partyNames(given: readonly string[]): string[] {
    const mine = given.map(short);
    const times = (count: number): string => (count === 1 ? '' : ` (${count})`);
    if (mine.length > 1 && mine.length === totals.parties) return [`every ${what}${times(mine.length)}`];
    const scopes = counted(mine.map(scopeOf));
    return [...scopes].flatMap(([scope, count]) => {
      if (count > 1 && count === ofScope.get(scope)) return [`every ${what} of ${scope}${times(count)}`];
      const here = mine.filter((name) => scopeOf(name) === scope);
      const stems = counted(here.map(stemOf));
      return [...stems].flatMap(([stem, some]) => (some > 1 && some === ofStem.get(stem) ? [`${stem}-*${times(some)}`] : here.filter((name) => stemOf(name) === stem)));
    });
  }
}
