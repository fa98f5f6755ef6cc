import { describe, expect, it } from '@jest/globals';
import { expectRefusal } from '../../test/documents.ts';
import { subnetProblem } from './subnets.ts';

const neighbour = { path: 'acme/shop/staging/main', subnets: ['10.0.0.0/24', '10.9.0.0/16'] };

describe('subnets of a network', () => {
  it.each([
    [['10.0.1.0/24']], [['10.0.1.0/24', '10.0.2.0/24']], [['192.168.0.0/16', '172.16.0.0/12']], [['10.0.1.7/32']], [['10.0.1.6/31']], [['100.64.0.0/10']],
  ])('%j are fine', (subnets) => expect(subnetProblem(subnets, [neighbour])).toBeUndefined());

  it.each([
    [['10.0.0.0/24'], 'overlapping-subnet', 0], [['10.0.0.128/25'], 'overlapping-subnet', 0], [['10.0.0.0/8'], 'overlapping-subnet', 0],
    [['10.1.0.0/24', '10.9.255.255/32'], 'overlapping-subnet', 1], [['10.1.0.0/16', '10.1.2.0/24'], 'overlapping-subnet', 1], [['10.1.0.0/24', '10.1.0.0/24'], 'overlapping-subnet', 1],
    [['10.0.1.1/24'], 'host-bits-set', 0], [['127.0.0.0/8'], 'unusable-subnet', 0], [['127.1.0.0/16'], 'unusable-subnet', 0], [['0.0.0.0/0'], 'unusable-subnet', 0],
    [['0.1.0.0/16'], 'unusable-subnet', 0], [['169.254.0.0/16'], 'unusable-subnet', 0], [['10.1.0.0/16', '224.0.0.0/24'], 'unusable-subnet', 1], [['255.255.255.0/24'], 'unusable-subnet', 0],
  ])('%j are refused: %s', (subnets, code, index) => expectRefusal(subnetProblem(subnets, [neighbour]), code, `spec.subnets[${index}]`));

  it('an overlap names the other network and its subnet', () => {
    expect(subnetProblem(['10.9.1.0/24'], [neighbour])).toMatchObject({ problem: { reason: expect.stringContaining('10.9.0.0/16 of network acme/shop/staging/main') } });
  });
});
