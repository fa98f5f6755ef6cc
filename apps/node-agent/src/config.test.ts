import { describe, expect, it } from '@jest/globals';
import { readConfig } from './config.ts';

const complete = { OSIER_NODE: 'node-1', OSIER_NATS_URL: 'nats://127.0.0.1:4222', OSIER_CREDENTIALS_FILE: '/c', OSIER_PIN_DIR: '/run/osier/bpf/node-1' };

describe('configuration', () => {
  it('has defaults for what a single machine needs no thought for', () => {
    expect(readConfig(complete)).toMatchObject({ OSIER_NETNS_DIR: '/run/netns', OSIER_MTU: 1500, OSIER_VXLAN_PORT: 4789, OSIER_LOG_LEVEL: 'info' });
  });
  it('names every variable that is missing or wrong', () => {
    expect(() => readConfig({ ...complete, OSIER_NODE: '', OSIER_MTU: '9', OSIER_PIN_DIR: 'bpf' })).toThrow(/OSIER_NODE is not set[\s\S]*OSIER_PIN_DIR is "bpf": must be an absolute path[\s\S]*OSIER_MTU is "9"/);
  });
});
