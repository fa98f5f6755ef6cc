import { describe, expect, it } from '@jest/globals';
import { missingCapabilities } from './machine.mjs';
import { debianMirror } from './nats.mjs';
import { absentEntries, staleEntries } from './packages.mjs';
import { NATS_GO_VERSION, NATS_MINIMUM, compareVersions } from './versions.mjs';

describe('versions', () => {
  it.each([
    ['2.9.10', '2.10.23', -1],
    ['2.10.27', '2.10.23', 1],
    ['2.10.23', '2.10.23', 0],
    ['2.11', '2.10.23', 1],
    ['3', '2.10.23', 1],
  ])('orders %s and %s by number, not by letter', (a, b, sign) => {
    expect(Math.sign(compareVersions(a, b))).toBe(sign);
  });

  it('builds a nats-server that is new enough', () => {
    expect(compareVersions(NATS_GO_VERSION, NATS_MINIMUM)).toBeGreaterThanOrEqual(0);
  });
});

describe('the Debian mirror of the machine', () => {
  it.each([
    ['a one-line source', 'deb http://mirror.example/debian bookworm main', 'http://mirror.example/debian'],
    ['a one-line source with options', 'deb [arch=amd64 signed-by=/k.gpg] https://m.example/debian/ bookworm main', 'https://m.example/debian/'],
    ['deb822', 'Types: deb\nURIs: http://d.example/debian\nSuites: bookworm', 'http://d.example/debian'],
    ['a foreign source first', 'deb https://nodes.example/node_20.x nodistro main\ndeb http://d.example/debian bookworm main', 'http://d.example/debian'],
    ['a security source only', 'deb http://d.example/debian-security bookworm-security main', undefined],
    ['a source commented out', '# deb http://old.example/debian bookworm main', undefined],
  ])('is read from %s', (_name, text, mirror) => {
    expect(debianMirror(text)).toBe(mirror);
  });
});

describe('npm packages', () => {
  const lock = {
    packages: {
      '': {},
      'libs/bus': { version: '0.1.0' },
      'node_modules/@osier/bus': { link: true, resolved: 'libs/bus' },
      'node_modules/a': { version: '1.0.0' },
      'node_modules/b': { version: '1.0.0', optional: true },
    },
  };
  const installed = (packages: Record<string, object>): { packages: Record<string, object> } => ({ packages });
  const links = { 'node_modules/@osier/bus': { link: true, resolved: 'libs/bus' } };

  it('are in place when every version agrees, with or without the optional ones', () => {
    expect(staleEntries(lock, installed({ ...links, 'node_modules/a': { version: '1.0.0' } }))).toEqual([]);
  });
  it('are stale when one has another version', () => {
    expect(staleEntries(lock, installed({ ...links, 'node_modules/a': { version: '0.9.0' } }))).toEqual(['node_modules/a']);
  });
  it('are stale when one is missing', () => {
    expect(staleEntries(lock, installed(links))).toEqual(['node_modules/a']);
  });
  it('are absent when they have no folder, whatever is recorded, unless they may be', () => {
    expect(absentEntries(lock, (path: string) => path === 'node_modules/a')).toEqual(['node_modules/@osier/bus']);
    expect(absentEntries(lock, () => false)).toEqual(['node_modules/@osier/bus', 'node_modules/a']);
  });
  it('are stale when a workspace is not linked', () => {
    expect(staleEntries(lock, installed({ 'node_modules/a': { version: '1.0.0' } }))).toEqual(['node_modules/@osier/bus']);
  });
});

describe('capabilities of root', () => {
  it.each([
    ['a real root', '000001ffffffffff', []],
    ['a container root', '00000000a80425fb', ['CAP_NET_ADMIN', 'CAP_SYS_ADMIN']],
    ['one without namespaces', '0000000000001000', ['CAP_SYS_ADMIN']],
  ])('are read for %s', (_name, bits, missing) => {
    expect(missingCapabilities(`Name:\tnode\nCapEff:\t${bits}\nCapBnd:\t0\n`)).toEqual(missing);
  });
});
