import type { Probe } from './probes.ts';

const cross = (p: Probe): boolean => p.from.split('/')[0] !== p.to.split('/')[0];
const last = (path: string): string => path.split('/')[1] ?? path;
const environmentOf = (path: string): string => path.split('/')[0] ?? path;

/** A grid for each environment, senders down and receivers across; what crosses environments is one sentence. */
export function showMatrix(probes: readonly Probe[], mark: (reached: boolean) => string = (reached) => (reached ? '●' : '·')): string {
  const inside = probes.filter((p) => !cross(p));
  const across = probes.filter(cross);
  const environments = [...new Set(probes.map((p) => environmentOf(p.from)))].sort();
  const grids = environments.map((environment) => grid(environment, inside.filter((p) => environmentOf(p.from) === environment), mark));
  const crossed = across.filter((p) => p.reached);
  const summary = `inside: ${inside.filter((p) => p.reached).length} of ${inside.length} reached`;
  const border = across.length === 0 ? [] : [`across: ${crossed.length} of ${across.length} reached`, ...crossed.map((p) => `  ${p.from} reached ${p.to} port ${p.port}`)];
  return [...grids, summary, ...border].join('\n');
}

function grid(environment: string, probes: readonly Probe[], mark: (reached: boolean) => string): string {
  const columns = [...new Map(probes.map((p) => [`${p.to}:${p.port}`, { to: p.to, port: p.port }])).values()].sort((a, b) => (a.to < b.to ? -1 : a.to > b.to ? 1 : a.port - b.port));
  const rows = [...new Set(probes.map((p) => p.from))].sort();
  const width = Math.max(...rows.map((row) => last(row).length), environment.length) + 4;
  const heads = columns.map((column, index) => `${' '.repeat(width)}${'│ '.repeat(index)}┌ ${last(column.to)}:${column.port}`);
  const cell = (from: string, column: { to: string; port: number }): string => {
    const found = probes.find((p) => p.from === from && p.to === column.to && p.port === column.port);
    return found === undefined ? ' ' : mark(found.reached);
  };
  const lines = rows.map((row) => `  ${last(row).padEnd(width - 2)}${columns.map((column) => cell(row, column)).join(' ')}`);
  return [environment, ...heads, ...lines, ''].join('\n');
}
