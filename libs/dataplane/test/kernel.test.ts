/** The real kernel does what the contract says, and says clearly what it misses. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { SCHEMA } from '../src/kernel/loader.ts';
import { ensureBpffs, openKernel } from '../src/kernel/open.ts';
import { readBack, type Remembered } from '../src/witness/witness.ts';
import { kernelContract } from './contract.ts';

const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: 'pipe' });

kernelContract('the real kernel', () => {
  const folder = mkdtempSync(join(tmpdir(), 'osier-contract-'));
  const pinDir = join(folder, 'bpf');
  const names = ['n', 'w'].map((role) => `dpc${process.pid}${role}`);
  for (const name of names) run('ip', 'netns', 'add', name);
  ensureBpffs(pinDir);
  const where = { pinDir, netnsPath: `/run/netns/${names[0]}` };
  const remembered: Remembered = new Map();
  return {
    open: () => openKernel({ ...where, sizes: { rules: 4, addresses: 64, policy: 64, conntrack: 64 } }),
    readBack: () => readBack(where, remembered),
    netnsPath: `/run/netns/${names[1]}`,
    close() {
      for (const name of names) run('ip', 'netns', 'del', name);
      run('umount', pinDir);
      rmSync(folder, { recursive: true });
    },
  };
});

describe('what openKernel misses it names with its fix', () => {
  it('a BPF file system', () => {
    const folder = mkdtempSync(join(tmpdir(), 'osier-nobpffs-'));
    mkdirSync(join(folder, 'a'));
    expect(() => openKernel({ pinDir: join(folder, 'a', 'b') })).toThrow(
      expect.objectContaining({ code: 'bpffs-missing', fix: expect.stringContaining(`mount -t bpf bpf ${join(folder, 'a')}`) }),
    );
    rmSync(folder, { recursive: true });
  });

  it('root', () => {
    const script = `
      process.setuid(65534);
      const { openKernel } = await import(${JSON.stringify(join(import.meta.dirname, '../src/kernel/open.ts'))});
      try { openKernel({ pinDir: '/sys/fs/bpf/x' }); } catch (error) { console.log(error.code, error.fix); }`;
    const output = execFileSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(output).toMatch(/^not-privileged Run as root/);
  });

  it('maps of another layout', () => {
    const folder = mkdtempSync(join(tmpdir(), 'osier-layout-'));
    const pinDir = join(folder, 'bpf');
    ensureBpffs(pinDir);
    try {
      openKernel({ pinDir, sizes: { conntrack: 64 } }).close();
      const path = join(pinDir, SCHEMA, 'conntrack');
      rmSync(path);
      renameSync(join(pinDir, SCHEMA, 'rules'), path);
      expect(() => openKernel({ pinDir })).toThrow(expect.objectContaining({ code: 'pins-incompatible', path, fix: expect.stringContaining(`rm -r ${pinDir}/${SCHEMA}`) }));
    } finally {
      run('umount', pinDir);
      rmSync(folder, { recursive: true });
    }
  });

  it('a namespace that a workload may have: never the node\'s nor the agent\'s own, and nothing is made there', () => {
    const folder = mkdtempSync(join(tmpdir(), 'osier-ownnetns-'));
    const pinDir = join(folder, 'bpf');
    const names = ['n', 'w'].map((role) => `dpo${process.pid}${role}`);
    for (const name of names) run('ip', 'netns', 'add', name);
    ensureBpffs(pinDir);
    const kernel = openKernel({ pinDir, netnsPath: `/run/netns/${names[0]}`, sizes: { conntrack: 64 } });
    const veth = (netnsPath: string) => ({ hostName: 'osrown', netnsPath, peerName: 'osrpeer', mtu: 1450, mac: Uint8Array.of(2, 0, 0, 0, 0, 1), address: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1) });
    try {
      symlinkSync(`/run/netns/${names[0]}`, join(folder, 'node'));
      symlinkSync(`/proc/${process.pid}/ns/net`, join(folder, 'machine'));
      symlinkSync(`/run/netns/${names[1]}`, join(folder, 'workload'));
      for (const path of [`/run/netns/${names[0]}`, join(folder, 'node'), '/proc/self/ns/net', `/proc/${process.pid}/ns/net`, join(folder, 'machine')]) {
        expect(() => kernel.links.prepareVeth(veth(path))).toThrow(expect.objectContaining({ code: 'namespace-not-allowed', path }));
      }
      expect(kernel.links.list()).toEqual([]);
      expect(kernel.links.prepareVeth(veth(join(folder, 'workload')))).toBeGreaterThan(0);
      expect(run('ip', '-n', names[1] ?? '', '-br', 'link').toString()).toContain('osrpeer');
    } finally {
      kernel.close();
      for (const name of names) run('ip', 'netns', 'del', name);
      run('umount', pinDir);
      rmSync(folder, { recursive: true });
    }
  });

  it('a network namespace', () => {
    const folder = mkdtempSync(join(tmpdir(), 'osier-nonetns-'));
    const pinDir = join(folder, 'bpf');
    ensureBpffs(pinDir);
    try {
      expect(() => openKernel({ pinDir, netnsPath: '/run/netns/no-such', sizes: { conntrack: 64 } })).toThrow(
        expect.objectContaining({ code: 'namespace-missing', path: '/run/netns/no-such' }),
      );
    } finally {
      run('umount', pinDir);
      rmSync(folder, { recursive: true });
    }
  });
});
