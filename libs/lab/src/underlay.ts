import { namespaceExists, inNamespace, makeNamespaces } from './system/namespaces.ts';
import { nodeNamespace, underlayNamespace } from './names.ts';
import { tryRun } from './system/run.ts';

/**
 *   osier-<lab>-underlay             osier-<lab>-node-1 … n
 *   ┌──────────────────────┐         ┌───────────────────────┐
 *   │ br0 ── node-1 ───────┼── veth ─┼ eth0  192.0.2.11/24    │   the agent adds: one VXLAN device,
 *   │     ── node-2 ───────┼── …     │                       │   one veth per workload
 *   └──────────────────────┘         └───────────────────────┘
 *
 * The addresses are TEST-NET-1 (RFC 5737): they are seen inside these namespaces only, so every lab has the same.
 */
export const underlayDevice = 'eth0';
export const underlayMtu = 1500;
export const mostNodes = 200;
export const nodeName = (index: number): string => `node-${index + 1}`;
export const nodeAddress = (index: number): string => `192.0.2.${index + 11}`;

export async function makeUnderlay(lab: string, nodes: readonly { readonly name: string; readonly address: string }[]): Promise<void> {
  const hub = underlayNamespace(lab);
  const fresh = !namespaceExists(hub);
  await makeNamespaces([hub, ...nodes.map((node) => nodeNamespace(lab, node.name))]);
  if (fresh || !(await deviceExists(hub, 'br0'))) await inNamespace(hub, ['link add br0 type bridge', `link set br0 mtu ${underlayMtu} up`]);
  for (const node of nodes) {
    const namespace = nodeNamespace(lab, node.name);
    if (await deviceExists(namespace, underlayDevice)) continue;
    await inNamespace(hub, [
      `link add ${node.name} mtu ${underlayMtu} type veth peer name ${underlayDevice} netns ${namespace}`,
      `link set ${node.name} master br0 up`,
    ]);
    await inNamespace(namespace, [`link set ${underlayDevice} mtu ${underlayMtu}`, `address add ${node.address}/24 dev ${underlayDevice}`, `link set ${underlayDevice} up`]);
  }
}

const deviceExists = async (namespace: string, device: string): Promise<boolean> => (await tryRun('ip', ['-n', namespace, 'link', 'show', 'dev', device])).code === 0;
