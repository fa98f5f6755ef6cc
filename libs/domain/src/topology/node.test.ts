import { describe, expect, it } from '@jest/globals';
import { changesOf, expectRefusal, ids, node } from '../../test/documents.ts';
import { decideNode } from './node.ts';

const one = node('node-1', '192.0.2.11');
const apply = (name: string, tunnelEndpoint: string, current = [one].find((n) => n.name === name)) =>
  decideNode({ name, spec: { tunnelEndpoint } }, { current, others: [one] }, ids());

describe('a node', () => {
  it('is made, changed, and left as it is', () => {
    expect(changesOf(apply('node-2', '192.0.2.12'))).toEqual([{ kind: 'node', name: 'node-2', phase: 'active' }]);
    expect(changesOf(apply('node-1', '192.0.2.99'))).toHaveLength(1);
    expect(changesOf(apply('node-1', '192.0.2.11'))).toEqual([]);
    expect(changesOf(apply('node-2', '169.254.1.1'))).toHaveLength(1);
  });
  it('has its tunnel endpoint to itself', () => expectRefusal(apply('node-2', '192.0.2.11'), 'address-taken', 'spec.tunnelEndpoint'));
  it.each(['127.0.0.1', '0.0.0.0', '224.0.0.5', '255.255.255.255'])('cannot be reached at %s', (address) => expectRefusal(apply('node-2', address), 'unusable-address', 'spec.tunnelEndpoint'));
});
