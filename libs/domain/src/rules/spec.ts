import type { Selector } from '@osier/contracts/names';
import type { PortSpec } from '@osier/contracts/policy';
import type { Condition, PortMatch, Tags, TagSelector } from './model.ts';

/** Pieces of Osier's documents in the model. */
export function conditionsOf(selector: Selector): TagSelector {
  const tags: Tags = selector.matchTags ?? {};
  return [
    ...Object.entries(tags).map(([key, value]): Condition => ({ key, operator: 'In', values: [value] })),
    ...(selector.matchExpressions ?? []).map((e): Condition => ('values' in e ? { key: e.key, operator: e.operator, values: e.values } : { key: e.key, operator: e.operator })),
  ];
}

/** Of a port that names no service group; what does not go together has been refused before. */
export function portOf({ protocol = 'TCP', port, endPort, portName, type, code }: PortSpec): PortMatch {
  if (portName !== undefined) return { protocol, name: portName };
  if (port !== undefined) return { protocol, first: port, last: endPort ?? port };
  if (type !== undefined) return { protocol, first: (type << 8) | (code ?? 0), last: (type << 8) | (code ?? 0xff) };
  return { protocol };
}
