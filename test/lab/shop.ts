import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deploy } from '@osier/lab/deploy';
import { shop, shopEnvironments } from '@osier/lab/demo/shop';
import { findWorkload, type PlacedWorkload, readInventory } from '@osier/lab/inventory';
import type { AppPolicy } from '@osier/lab/kubernetes/application';
import type { Lab } from '@osier/lab/lab';
import { repository } from '@osier/lab/paths';
import { place } from '@osier/lab/place';
import { ask, probe, type Wish } from '@osier/lab/probes';
import { parseAllDocuments } from 'yaml';

/** The shop of the examples in both environments of a lab, with its policies. */
export async function deployShop(lab: Lab): Promise<void> {
  const text = readFileSync(join(repository, 'examples/shop/environment/policies.yaml'), 'utf8');
  const policies = parseAllDocuments(text).map((document) => document.toJS() as AppPolicy);
  const nodes = lab.record.nodes.map((node) => node.name);
  await deploy(lab, shopEnvironments.map((environment, turn) =>
    place({ lab: lab.record.name, domain: 'acme', project: 'shop', environment, turn, nodes, workloads: shop, services: [] })), policies);
}
export const scope = (environment: string) => ({ domain: 'acme', project: 'shop', environment });

export const at = (lab: Lab, path: string): PlacedWorkload => findWorkload(readInventory(lab.paths), path);
export const wish = (lab: Lab, from: string, to: string, port: number, protocol: 'TCP' | 'UDP' = 'TCP'): Wish => ({ from: at(lab, from), to: at(lab, to), port, protocol });

/** True when the very listener that was meant answered on a new connection. */
export const reaches = async (lab: Lab, from: string, to: string, port: number, protocol: 'TCP' | 'UDP' = 'TCP'): Promise<boolean> =>
  (await probe(lab.paths, [wish(lab, from, to, port, protocol)]))[0]?.reached === true;
export const tries = (lab: Lab, wishes: readonly Wish[]) => ask(lab.paths, wishes);
