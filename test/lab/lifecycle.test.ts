// A lab comes, is repaired and goes, whatever is killed; and it stays out of the way of others.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { labDown } from '@osier/lab/down';
import { expected, shop } from '@osier/lab/demo/shop';
import { readInventory } from '@osier/lab/inventory';
import type { Lab } from '@osier/lab/lab';
import { labPaths, repository } from '@osier/lab/paths';
import { everyPair, probe } from '@osier/lab/probes';
import { living } from '@osier/lab/supervisor/spec';
import { membersOf } from '@osier/lab/system/members';
import { makeNamespaces, namespacesOf } from '@osier/lab/system/namespaces';
import { end } from '@osier/lab/system/processes';
import { labUp } from '@osier/lab/up';
import { deployShop, reaches } from './shop.ts';

const name = `lf${process.pid.toString(36)}`;
const second = `lg${process.pid.toString(36)}`;
const options = (lab: string, nodes: number) => ({ name: lab, nodes, domains: ['acme'], project: 'shop' });
const osier = (...args: string[]) => spawnSync(join(repository, 'osier'), args, { encoding: 'utf8' });
let lab: Lab;

beforeAll(async () => {
  lab = await labUp(options(name, 2));
  await deployShop(lab);
}, 120_000);
afterAll(async () => {
  await labDown(name);
  await labDown(second);
}, 60_000);

const leftOf = (which: string) => ({
  namespaces: namespacesOf(which), processes: membersOf(labPaths(which).dir).length, folder: existsSync(labPaths(which).dir),
  mounts: readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(`/run/osier/${which}/`)),
  hosts: existsSync(`/etc/netns/osier-${which}-w-staging.web`),
});
const nothing = { namespaces: [], processes: 0, folder: false, mounts: [], hosts: false };

describe('a lab', () => {
  it('of a name that is taken is refused, saying what runs, since when, and what to do', () => {
    const ran = osier('lab', 'up', '--name', name);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toMatch(/is running already: \d+ programs, supervisor \d+, since \d{4}-/);
    expect(ran.stderr).toContain(`osier lab down --name ${name}`);
  });

  it('shares the machine with another, addresses and all', async () => {
    const other = await labUp(options(second, 1));
    await deployShop(other);
    expect(await reaches(other, 'staging/web', 'staging/cart', 7070)).toBe(true);
    expect(await reaches(lab, 'staging/web', 'staging/cart', 7070)).toBe(true);
    await labDown(second);
    expect(leftOf(second)).toEqual(nothing);
    expect(await reaches(lab, 'staging/web', 'staging/cart', 7070)).toBe(true);
  }, 90_000);

  it('runs commands inside workloads, with their exit code', () => {
    const ran = osier('lab', 'exec', '--name', name, 'staging/web', '--', 'sh', '-c', 'cat /etc/hosts; exit 7');
    expect(ran.status).toBe(7);
    expect(ran.stdout).toMatch(/^10\.20\.0\.11 cart$/m);
  });

  it('tells of one connection by exit code, and names a workload that is not there', () => {
    expect(osier('lab', 'probe', '--name', name, 'staging/web', 'staging/cart', '7070')).toMatchObject({ status: 0 });
    expect(osier('lab', 'probe', '--name', name, 'staging/web', 'staging/db', '5432')).toMatchObject({ status: 1 });
    const ran = osier('lab', 'probe', '--name', name, 'staging/web', 'staging/shop', '1');
    expect(ran.stderr).toContain('there is no workload "staging/shop"');
  });

  it('whose every process was killed is repaired by `lab up`: same objects, same verdicts', async () => {
    const before = await lab.client.list('endpoint', { domain: 'acme', project: 'shop', environment: 'staging' });
    await end(membersOf(lab.paths.dir), 0);
    expect(living(lab.paths)).toEqual([]);
    const granted = () => ['node-1', 'node-2'].map((node) => readdirSync(lab.paths.namespaces(node)).sort());
    const links = granted();
    for (const node of ['node-1', 'node-2']) rmSync(lab.paths.namespaces(node), { recursive: true });
    lab = await labUp(options(name, 2));
    expect(granted()).toEqual(links);
    expect(links.flat()).toHaveLength(shop.length * 2);
    const after = await lab.client.list('endpoint', { domain: 'acme', project: 'shop', environment: 'staging' });
    expect(after.map((e) => e.document)).toEqual(before.map((e) => e.document));
    await deployShop(lab);
    const probes = await probe(lab.paths, everyPair(readInventory(lab.paths)));
    expect(probes.filter((p) => p.reached !== expected(p.from, p.to)).map((p) => `${p.from} → ${p.to}`)).toEqual([]);
  }, 120_000);

  it('leaves nothing when it goes, killed before or not; and going twice is no mistake', async () => {
    await end(membersOf(lab.paths.dir).slice(0, 5), 0);
    await labDown(name);
    expect(leftOf(name)).toEqual(nothing);
    expect(await labDown(name)).toEqual({ processes: 0, namespaces: 0, folder: false });
  }, 60_000);

  it('of which only namespaces are left is refused by `up` and removed by `down`', async () => {
    await makeNamespaces([`osier-${name}-node-1`]);
    await expect(labUp(options(name, 1))).rejects.toThrow('are left over');
    await labDown(name);
    expect(leftOf(name)).toEqual(nothing);
  });
});
