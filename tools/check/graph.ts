import { createProjectGraphAsync } from '@nx/devkit';
import { root } from '../root.ts';

/** Writes the Nx project graph to its cache, where the boundary rule reads it; nothing is left running. */
export async function makeGraph(): Promise<string[]> {
  process.env['NX_DAEMON'] = 'false';
  process.env['NX_ISOLATE_PLUGINS'] = 'false';
  process.env['NX_WORKSPACE_ROOT_PATH'] = root;
  const graph = await createProjectGraphAsync({ exitOnError: false });
  return Object.keys(graph.nodes);
}
