import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { freePort } from './server.ts';

describe('a free port', () => {
  it('is given once only, and is none that the system gives to whoever connects', async () => {
    const ports = [...await Promise.all(Array.from({ length: 200 }, () => freePort())), await freePort(), await freePort()];
    expect(new Set(ports).size).toBe(ports.length);
    const [first = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/).map(Number);
    expect(ports.filter((port) => port >= first)).toEqual([]);
  });
});
