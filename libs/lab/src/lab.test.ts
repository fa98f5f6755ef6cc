import { describe, expect, it } from '@jest/globals';
import { findWorkload, type Inventory, resolveTarget, withEnvironment } from './inventory.ts';
import { belongsTo, checkLabName, nodeNamespace, parseWorkloadPath, workloadNamespace } from './names.ts';
import { labPaths } from './paths.ts';
import { tellSupervisor } from './lab.ts';
import { hostsOf, place } from './place.ts';
import { everyPair } from './probes.ts';
import { showMatrix } from './show.ts';

const workloads = [
  { name: 'web', tags: { app: 'web' }, ports: [{ protocol: 'TCP' as const, port: 8080 }] },
  { name: 'db', tags: { app: 'db' }, ports: [{ protocol: 'TCP' as const, port: 5432 }] },
  { name: 'batch', tags: {}, ports: [] },
];
const services = [{ name: 'shop', selector: { app: 'web' }, ports: [{ protocol: 'TCP' as const, port: 80, targetPort: 8080 }] }];
const placed = (environment: string, turn: number) => place({ lab: 'osier', domain: 'acme', project: 'shop', environment, turn, nodes: ['node-1', 'node-2', 'node-3'], workloads, services });
const inventory: Inventory = [placed('staging', 0), placed('production', 1)].reduce(withEnvironment, { environments: [] });

describe('names', () => {
  it.each(['', 'a-b', 'A', '1a', 'a'.repeat(13), '../x', 'a/b'])('refuses %j as the name of a lab', (name) => {
    expect(() => checkLabName(name)).toThrow('cannot name a lab');
  });
  it('tells apart what belongs to labs of similar names, and workloads of similar names', () => {
    expect(belongsTo('a', nodeNamespace('ab', 'node-1'))).toBe(false);
    expect(workloadNamespace('a', 'x-y', 'z')).not.toBe(workloadNamespace('a', 'x', 'y-z'));
  });
  it('keeps sockets within what a Unix socket path holds', () => {
    expect(labPaths('a'.repeat(12)).workloadSocket(`${'e'.repeat(63)}/${'w'.repeat(63)}`).length).toBeLessThan(108);
  });
  it('are in the fix, so that no second lab is started', async () => {
    await expect(tellSupervisor(labPaths('nosuchlab'), { do: 'status' })).rejects.toMatchObject({ fix: expect.stringContaining('`osier lab up --name nosuchlab`') });
    await expect(tellSupervisor(labPaths('osier', '/run/nowhere'), { do: 'status' })).rejects.toMatchObject({ fix: expect.stringContaining('`osier lab up`') });
  });
  it.each(['web', 'a/b/c', '/', 'a/'])('refuses %j as a workload', (path) => {
    expect(() => parseWorkloadPath(path)).toThrow('names no workload');
  });
});

describe('placing an application', () => {
  it('gives a workload the same address in every environment, and another node', () => {
    const [production, staging] = inventory.environments;
    expect(staging?.workloads.map((w) => w.address)).toEqual(['10.20.0.10', '10.20.0.11', '10.20.0.12']);
    expect(production?.workloads.map((w) => w.address)).toEqual(['10.20.0.10', '10.20.0.11', '10.20.0.12']);
    expect(staging?.workloads.map((w) => w.node)).toEqual(['node-1', 'node-2', 'node-3']);
    expect(production?.workloads.map((w) => w.node)).toEqual(['node-2', 'node-3', 'node-1']);
  });
  it('leaves what is there where it is when more is loaded, and gives the new ones free addresses', () => {
    const before = placed('staging', 0);
    const more = place({ lab: 'osier', domain: 'acme', project: 'shop', environment: 'staging', turn: 2, nodes: ['node-1', 'node-2', 'node-3'], services: [], before, workloads: [{ name: 'mail', tags: {}, ports: [] }, { name: 'web', tags: {}, ports: [] }] });
    expect(more.workloads.map((w) => [w.name, w.address, w.node])).toEqual([['mail', '10.20.0.13', 'node-3'], ['web', '10.20.0.10', 'node-1']]);
  });
  it('puts workloads and services into the hosts file', () => {
    expect(Object.fromEntries(hostsOf(placed('staging', 0)))).toEqual({ web: '10.20.0.10', db: '10.20.0.11', batch: '10.20.0.12', shop: '10.20.0.10' });
  });
  it('gives whoever brings an address that one, and the network subnets that hold it', () => {
    const with_ = (...addresses: string[]) => place({ lab: 'osier', domain: 'acme', project: 'shop', environment: 'x', turn: 0, nodes: ['node-1'], services: [], workloads: [{ name: 'free', tags: {}, ports: [] }, ...addresses.map((address, n) => ({ name: `w${n}`, tags: {}, ports: [], address }))] });
    const { workloads, moreSubnets } = with_('10.20.0.10', '10.0.1.7', '10.0.1.9', '10.2.0.1');
    expect(workloads.map((w) => w.address)).toEqual(['10.20.0.11', '10.20.0.10', '10.0.1.7', '10.0.1.9', '10.2.0.1']);
    expect(moreSubnets).toEqual(['10.0.1.0/24', '10.2.0.0/24']);
    expect(with_(...Array.from({ length: 40 }, (_, n) => `10.1.${n}.1`)).moreSubnets).toEqual(['10.1.0.0/16']);
    expect(() => with_(...Array.from({ length: 40 }, (_, n) => `${n + 1}.1.1.1`))).toThrow('too far apart');
    expect(() => with_('10.0.1.7', '10.0.1.7')).toThrow('both have the address 10.0.1.7');
  });
  it('names what is in a namespace as Kubernetes does', () => {
    const named = place({ lab: 'osier', domain: 'acme', project: 'shop', environment: 'x', turn: 0, nodes: ['node-1'], services: [], workloads: [{ name: 'web', path: 'default/web', tags: {}, ports: [] }, { name: 'shop--web', path: 'shop/web', tags: {}, ports: [] }] });
    expect(hostsOf(named, { path: 'shop/web' }).get('web')).toBe('10.20.0.11');
    expect(hostsOf(named, { path: 'default/web' }).get('web')).toBe('10.20.0.10');
    expect(hostsOf(named, { path: 'other/web' }).get('web.shop.svc.cluster.local')).toBe('10.20.0.11');
    expect(findWorkload({ environments: [named] }, 'x/shop/web').name).toBe('shop--web');
    expect(findWorkload({ environments: [named] }, 'x/shop--web').name).toBe('shop--web');
  });
  it('refuses an environment of the same name in another project', () => {
    expect(() => withEnvironment(inventory, { ...placed('staging', 0), project: 'other' })).toThrow('belongs to acme/shop');
  });
  it('finds the workload behind a service by the port of the service', () => {
    expect(resolveTarget(inventory, 'staging/shop', 80, 'TCP')).toMatchObject({ workload: { name: 'web', environment: 'staging' }, port: 8080 });
    expect(() => resolveTarget(inventory, 'staging/nobody', 80, 'TCP')).toThrow('there is no workload "staging/nobody"');
  });
});

describe('the matrix', () => {
  it('is every ordered pair with every TCP port of the target, across environments too, never a workload with itself', () => {
    const pairs = everyPair(inventory).map((w) => `${w.from.environment}/${w.from.name} ${w.to.environment}/${w.to.name} ${w.port}`);
    // 6 sources; 4 workloads with one port each; 4 pairs are a workload with itself.
    expect(pairs).toHaveLength(6 * 4 - 4);
    expect(pairs).toContain('staging/web production/web 8080');
    expect(pairs).not.toContain('staging/web staging/web 8080');
  });
  it('is drawn as a grid for each environment, and says what crossed', () => {
    const probes = everyPair(inventory).map((w) => ({ from: `${w.from.environment}/${w.from.name}`, to: `${w.to.environment}/${w.to.name}`, protocol: w.protocol, port: w.port, reached: w.from.name === 'web' && w.from.environment === w.to.environment }));
    const text = showMatrix(probes);
    expect(text).toContain('across: 0 of 12 reached');
    expect(text).toContain('inside: 2 of 8 reached');
    expect(text).toMatch(/^ {2}web +● *$/m);
  });
});
