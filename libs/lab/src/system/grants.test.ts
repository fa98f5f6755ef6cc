import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { labPaths } from '../paths.ts';
import { grantNamespaces, restoreGrants } from './grants.ts';

const base = mkdtempSync(join(tmpdir(), 'osier-grants-'));
const paths = labPaths('a', base);
afterAll(() => rmSync(base, { recursive: true, force: true }));
beforeEach(() => rmSync(paths.dir, { recursive: true, force: true }));

const grant = (node: string, name: string) => ({ node, namespace: `osier-a-w-staging.${name}` });
const seen = () => Object.fromEntries(['node-1', 'node-2'].map((node) => [node, readdirSync(paths.namespaces(node)).map((name) => readlinkSync(join(paths.namespaces(node), name)))]));
const [web, db] = [grant('node-1', 'web'), grant('node-2', 'db')];

describe('what an agent sees of namespaces', () => {
  it('is the workloads of its own node, each as a link to where `ip netns` keeps it', () => {
    restoreGrants(paths, ['node-1', 'node-2'], [web, db]);
    expect(seen()).toEqual({ 'node-1': ['/run/netns/osier-a-w-staging.web'], 'node-2': ['/run/netns/osier-a-w-staging.db'] });
  });
  it('grows with what is loaded, and loses nothing thereby', () => {
    restoreGrants(paths, ['node-1', 'node-2'], [web]);
    grantNamespaces(paths, [db, grant('node-1', 'cart')]);
    grantNamespaces(paths, [db]);
    expect(seen()).toEqual({ 'node-1': ['/run/netns/osier-a-w-staging.cart', '/run/netns/osier-a-w-staging.web'], 'node-2': ['/run/netns/osier-a-w-staging.db'] });
  });
  it('is put right again, whatever stands there instead', () => {
    mkdirSync(join(paths.namespaces('node-1'), 'osier-a-node-1'), { recursive: true });
    symlinkSync('/run/netns/osier-a-node-1', join(paths.namespaces('node-1'), web.namespace));
    mkdirSync(paths.namespaces('node-2'), { recursive: true });
    writeFileSync(join(paths.namespaces('node-2'), db.namespace), 'no link');
    restoreGrants(paths, ['node-1', 'node-2'], [web, db]);
    expect(seen()).toEqual({ 'node-1': ['/run/netns/osier-a-w-staging.web'], 'node-2': ['/run/netns/osier-a-w-staging.db'] });
  });
});
