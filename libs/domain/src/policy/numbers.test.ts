import { describe, expect, it } from '@jest/globals';
import { allocate } from './numbers.ts';

describe('allocate', () => {
  it('keeps the numbers that the kernel already has', () => {
    const { numbers } = allocate(['a', 'b', 'c'], new Map([[7, 'b'], [3, 'gone']]));
    expect(numbers.get('b')).toBe(7);
    expect([numbers.get('a'), numbers.get('c')]).toEqual([8, 9]);
  });

  it('begins at 1: 0 is no number', () => {
    expect(allocate(['a'], new Map()).numbers.get('a')).toBe(1);
  });

  it('does not give the number of a meaning that has just gone to another', () => {
    const first = allocate(['a', 'b'], new Map());
    const second = allocate(['c'], new Map(), first.highest);
    expect(second.numbers.get('c')).toBe(3);
  });

  it('takes the lowest free one when the highest has been given', () => {
    const { numbers } = allocate(['x', 'y'], new Map([[1, 'a'], [3, 'b'], [0xffff_ffff, 'c']]));
    expect([numbers.get('x'), numbers.get('y')]).toEqual([2, 4]);
  });

  it('does not depend on the order in which meanings are asked for', () => {
    expect(allocate(['b', 'a'], new Map()).numbers).toEqual(allocate(['a', 'b', 'a'], new Map()).numbers);
  });
});
