import { portKey } from './instance.ts';
import type { NamedPort } from './matcher.ts';
import type { Member } from './model.ts';

/** The ports that members declare by name, each once however many declare it. */
export interface Declared {
  add(member: Member): void;
  remove(member: Member): void;
  readonly of: (name: string) => readonly NamedPort[];
  /** Names under which other ports are declared than at the last call. */
  changed(): ReadonlySet<string>;
}

export function createDeclared(): Declared {
  const byName = new Map<string, Map<string, { readonly port: NamedPort; members: number }>>();
  let changed = new Set<string>();
  return {
    add({ ports }) {
      for (const port of ports) {
        const those = byName.get(port.name) ?? new Map<string, { readonly port: NamedPort; members: number }>();
        byName.set(port.name, those);
        const known = those.get(portKey(port));
        if (known) known.members++;
        else {
          those.set(portKey(port), { port, members: 1 });
          changed.add(port.name);
        }
      }
    },
    remove({ ports }) {
      for (const port of ports) {
        const those = byName.get(port.name);
        const known = those?.get(portKey(port));
        if (those === undefined || known === undefined || --known.members > 0) continue;
        those.delete(portKey(port));
        if (those.size === 0) byName.delete(port.name);
        changed.add(port.name);
      }
    },
    of: (name) => [...byName.get(name)?.values() ?? []].map(({ port }) => port),
    changed() {
      const told = changed;
      changed = new Set();
      return told;
    },
  };
}
