import { mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { LabPaths } from '../paths.ts';
import { namespacesFolder } from './namespaces.ts';

/** A namespace that the agent of a node may put endpoints into. */
export interface Grant { readonly node: string; readonly namespace: string }

/**
 *   /run/osier/<lab>/netns/<node>/<namespace> → /run/netns/<namespace>
 *
 * Each agent sees a folder of links to the workloads of its own node. In /run/netns are those of every node, of every lab and of the
 * machine itself, and an endpoint may name any entry of the folder that its agent is given.
 */
export function grantNamespaces(paths: LabPaths, grants: readonly Grant[]): void {
  for (const { node, namespace } of grants) {
    mkdirSync(paths.namespaces(node), { recursive: true, mode: 0o700 });
    const [link, target] = [join(paths.namespaces(node), namespace), join(namespacesFolder, namespace)];
    if (targetOf(link) === target) continue;
    rmSync(link, { recursive: true, force: true });
    symlinkSync(target, link);
  }
}

/** Makes these the only ones of the nodes: what is missing comes, what is more goes. */
export function restoreGrants(paths: LabPaths, nodes: readonly string[], grants: readonly Grant[]): void {
  for (const node of nodes) {
    mkdirSync(paths.namespaces(node), { recursive: true, mode: 0o700 });
    const wanted = new Set(grants.filter((grant) => grant.node === node).map((grant) => grant.namespace));
    for (const name of readdirSync(paths.namespaces(node))) if (!wanted.has(name)) rmSync(join(paths.namespaces(node), name), { recursive: true, force: true });
  }
  grantNamespaces(paths, grants);
}

function targetOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}
