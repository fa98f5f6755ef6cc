import { describe, expect, it } from '@jest/globals';
import { fakeKernel } from '@osier/dataplane/fake';
import type { LocalEndpoint, NodeProgram } from '@osier/domain/reconcile/program';
import { createDevices, hostNameOf } from './devices.ts';

const endpoint = (n: number, containerId: string): LocalEndpoint => ({
  id: `endpoint-${n}`, path: `acme/shop/staging/e${n}`, environment: 'acme/shop/staging', networkName: 'main', tags: {}, rd: 7, address: `10.0.0.${n}`, network: 3,
  tunnel: undefined, mac: '02:00:00:00:00:01', identity: '', version: 1, containerId, interface: 'eth0', program: '', shadow: undefined,
});
const program = (...endpoints: LocalEndpoint[]): NodeProgram => ({ tunnelEndpoint: undefined, endpoints, places: new Map(), programs: new Map(), layers: new Map(), pending: [] });

describe('the devices of a node', () => {
  // The contract lets no such name through; that it does is not what keeps a workload out of the node's namespace.
  it.each(['..', '.', '', '../netns/web', 'a/../../../proc/self/ns/net', '/proc/self/ns/net'])('are never made in what lies outside the folder of namespaces: %j', (containerId) => {
    const kernel = fakeKernel();
    const [astray, web] = [endpoint(1, containerId), endpoint(2, 'web')];
    const { ifindexes, pending } = createDevices(kernel, { netnsDir: '/run/osier/netns', underlayMtu: 1500, underlayDevice: undefined, vxlanPort: 4789 }).prepare(program(astray, web), false);
    expect(pending).toMatchObject([{ kind: 'endpoint', id: astray.id, path: astray.path, code: 'namespace-not-allowed' }]);
    expect([...ifindexes.keys()]).toEqual([web.id]);
    expect(kernel.links.list().map((l) => l.name)).toEqual([hostNameOf(web.id)]);
  });
});
