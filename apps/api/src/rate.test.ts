import { describe, expect, it } from '@jest/globals';
import { Rates } from './rate.ts';

describe('how often somebody may ask', () => {
  it('as often as the bucket holds at once, then as fast as it fills, and never more than it holds', () => {
    let now = 0;
    const rates = new Rates({ perSecond: 2, burst: 3 }, () => now);
    const taken = (): number => Array.from({ length: 10 }, () => rates.take('a')).filter(({ ok }) => ok).length;
    expect(taken()).toBe(3);
    now = 499;
    expect(taken()).toBe(0);
    now = 500;
    expect(taken()).toBe(1);
    now = 100_000;
    expect(taken()).toBe(3);
  });
  it('says in how many whole seconds to come again', () => {
    const rates = new Rates({ perSecond: 0.1, burst: 1 }, () => 0);
    expect(rates.take('a')).toEqual({ ok: true });
    expect(rates.take('a')).toEqual({ ok: false, waitSeconds: 10 });
  });
  it('what one takes is not taken from another', () => {
    const rates = new Rates({ perSecond: 1, burst: 1 }, () => 0);
    expect([rates.take('a').ok, rates.take('a').ok, rates.take('b').ok]).toEqual([true, false, true]);
  });
  it('remembers so many, and forgets the one that has waited longest', () => {
    const rates = new Rates({ perSecond: 1, burst: 1 }, () => 0);
    rates.take('first');
    rates.take('busy');
    for (let i = 0; i < 9_998; i++) rates.take(`x${i}`);
    rates.take('busy');
    rates.take('one more');
    expect([rates.take('busy').ok, rates.take('first').ok]).toEqual([false, true]);
  });
});
