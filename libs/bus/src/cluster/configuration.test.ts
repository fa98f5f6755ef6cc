import { describe, expect, it } from '@jest/globals';
import { natsConfiguration } from '../accounts.ts';
import { newInstallation } from '../installation.ts';
import type { ClusterInput } from './configuration.ts';

const { trust } = await newInstallation();

const cluster: ClusterInput = { name: 'osier', listen: '10.0.0.1:6222', routes: ['10.0.0.2:6222', '10.0.0.3:6222'], user: 'route', password: 's"e/c@ret' };
const write = (over: Partial<ClusterInput> = {}, serverName: string | undefined = 'nats-1'): string =>
  natsConfiguration({ listen: '10.0.0.1:4222', storeDir: '/js', trust, cluster: { ...cluster, ...over }, ...(serverName === '' ? {} : { serverName }) });

describe('the configuration of a server of a cluster', () => {
  it('names the others, and lets nobody in without the password', () => {
    const block = /cluster \{[^]*?\n\}/.exec(write())?.[0] ?? '';
    expect(block).toContain('authorization { user: "route", password: "s\\"e/c@ret"');
    expect(block.match(/nats-route:\/\/route:s%22e%2Fc%40ret@10\.0\.0\.[23]:6222/g)).toHaveLength(2);
    expect(natsConfiguration({ listen: 'a:1', storeDir: '/js', trust })).not.toContain('cluster');
  });
  it.each([
    [{ password: '' }, /password for its routes/], [{ user: '' }, /user and a password/], [{ name: 'a b' }, /cluster's name "a b"/],
    [{ listen: '6222' }, /"6222" is not host:port/], [{ routes: ['nats://10.0.0.2:6222'] }, /is not host:port/], [{ advertise: 'here' }, /"here" is not host:port/],
  ] as [Partial<ClusterInput>, RegExp][])('refuses %j', (over, says) => expect(() => write(over)).toThrow(says));
  it('refuses a server without a name of its own', () => expect(() => write({}, '')).toThrow(/serverName that no other has/));
});
