import { readInventory, workloadsOf } from './inventory.ts';
import { openLab, runningSupervisor, tellSupervisor } from './lab.ts';

export async function showStatus(name: string, output: 'table' | 'json'): Promise<string> {
  const { paths, record } = openLab(name);
  const views = await tellSupervisor(paths, { do: 'status' });
  const supervisor = runningSupervisor(paths);
  const workloads = workloadsOf(readInventory(paths)).length;
  if (output === 'json') return JSON.stringify({ name, supervisor: supervisor?.pid, createdAt: record.createdAt, nodes: record.nodes, workloads, programs: views }, null, 2);
  const rows = views.map((v) => [v.name, v.pid === undefined ? (v.held ? 'stopped' : 'not running') : `pid ${v.pid}`, v.restarts === 0 ? '' : `${v.restarts} restarts`, v.log]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return [`Lab "${name}": ${record.nodes.length} nodes, ${workloads} workloads, supervisor ${supervisor?.pid ?? 'not running'}, since ${record.createdAt}`, ...lines].join('\n');
}
