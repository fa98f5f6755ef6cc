import { afterAll, describe, expect, it } from '@jest/globals';
import { fstatSync, lchownSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeFd } from './libc.ts';
import { openWorkloadNetns, reservedNamespaces } from './namespace.ts';

// Any file does: what makes a namespace another one is its inode.
const folder = mkdtempSync(join(tmpdir(), 'osier-namespaces-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
writeFileSync(at('there'), '');
writeFileSync(at('node'), '');
const link = (name: string, target: string): string => {
  symlinkSync(target, at(name));
  return at(name);
};
const reserved = [...reservedNamespaces(undefined), statSync(at('node'))];
const opens = (path: string): number => {
  const fd = openWorkloadNetns(path, reserved);
  const { ino } = fstatSync(fd);
  closeFd(fd);
  return ino;
};
const refusal = (code: string, path: string) => expect.objectContaining({ code, path, fix: expect.stringMatching(/^[A-Z].*\.$/) });

describe('the namespace of a workload', () => {
  it('is the entry in the folder, or what a link of the runtime leads to', () => {
    const { ino } = statSync(at('there'));
    expect(opens(at('there'))).toBe(ino);
    expect(opens(link('link', at('there')))).toBe(ino);
    expect(opens(link('relative', 'there'))).toBe(ino);
  });
  it('is missing while nothing is there, or the link leads nowhere', () => {
    expect(() => opens(at('none'))).toThrow(refusal('namespace-missing', at('none')));
    const dangling = link('dangling', at('none'));
    expect(() => opens(dangling)).toThrow(refusal('namespace-missing', dangling));
  });
  it.each([['by its path', '/proc/self/ns/net'], ['as a process\'s', `/proc/${process.pid}/ns/net`]])('is never the agent\'s own, %s', (_how, path) => {
    expect(() => opens(path)).toThrow(refusal('namespace-not-allowed', path));
  });
  it('is never the agent\'s own by a link, nor the node\'s', () => {
    const own = link('own', `/proc/${process.pid}/ns/net`);
    const node = link('to-node', at('node'));
    for (const path of [own, node, at('node')]) expect(() => opens(path)).toThrow(refusal('namespace-not-allowed', path));
  });
  it.each(['a/../there', './there', 'a//there', '..'])('is not reached by %s', (name) => {
    const path = `${folder}/${name}`;
    expect(() => opens(path)).toThrow(refusal('namespace-not-allowed', path));
  });
  it('is not at the end of two links', () => {
    link('first', at('there'));
    const second = link('second', at('first'));
    expect(() => opens(second)).toThrow(refusal('namespace-not-allowed', second));
  });
  it('is not where another user\'s link leads', () => {
    const path = link('foreign', at('there'));
    if (process.geteuid?.() === 0) lchownSync(path, 65_534, 65_534);
    else rmSync(path);
    expect(() => opens(path)).toThrow(process.geteuid?.() === 0 ? refusal('namespace-not-allowed', path) : refusal('namespace-missing', path));
  });
});

describe('what is reserved', () => {
  it('is this process\'s own namespace, and the node\'s where that is another', () => {
    const own = statSync('/proc/self/ns/net');
    expect(reservedNamespaces(undefined)).toMatchObject([{ ino: own.ino }]);
    expect(reservedNamespaces(at('node'))).toMatchObject([{ ino: own.ino }, { ino: statSync(at('node')).ino }]);
  });
});
