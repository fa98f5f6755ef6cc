import { describe, expect, it } from '@jest/globals';
import { help, readCommand, Usage } from './command.ts';
import { median, quantile, spread } from './figures.ts';
import { asJson, held, type Report, table } from './report.ts';

const measured = ['bus'];
const refusal = (...args: string[]): string => {
  try {
    readCommand(args, measured);
  } catch (error) {
    if (error instanceof Usage) return error.message;
  }
  return 'accepted';
};

describe('npm run bench', () => {
  it('takes a name and its options', () => {
    expect(readCommand(['bus'], measured)).toEqual({ name: 'bus', quick: false });
    expect(readCommand(['bus', '--json', 'a.json', '--quick'], measured)).toEqual({ name: 'bus', quick: true, json: 'a.json' });
    expect(readCommand(['--help'], measured)).toBeUndefined();
  });
  it.each([
    [[], /which one\? Measured are: bus/], [['buss'], /none called "buss"\. Measured are: bus/], [['toString'], /none called/], [['ipam'], /ipam: not measured yet\. Measured are: bus/],
    [['bus', 'ipam'], /one at a time/], [['bus', '--fast'], /--fast.*--quick and --json FILE/], [['bus', '--json'], /--json/], [['bus', '--json='], /needs the name of a file/],
  ] as const)('refuses %j with what there is', (args, words) => expect(refusal(...args)).toMatch(words));
  it('says in its help which are measured, and what a missed target means', () => {
    expect(help(measured)).toMatch(/ bus +intents.*JetStream\n/);
    expect(help(measured)).toMatch(/ dataplane .*\(not measured yet\)/);
    expect(help(measured)).toContain('no failure');
  });
});

describe('figures', () => {
  it('are measured ones, or the middle of two', () => {
    const hundred = Array.from({ length: 100 }, (_, n) => 100 - n);
    expect([quantile(hundred, 0.5), quantile(hundred, 0.99), quantile(hundred, 1), quantile([7], 0.99)]).toEqual([50, 99, 100, 7]);
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
    expect(spread([3, 1, 2])).toEqual([1, 3]);
  });
  it('of nothing are none', () => expect(() => quantile([], 0.5)).toThrow('no values'));
});

const report: Report = {
  title: 'bus', columns: ['Osier', 'raw'], facts: ['two rounds'],
  figures: [
    { name: 'ratio', unit: '', value: 0.4, spread: [0.25, 0.5], target: { value: 0.5, better: 'higher' } },
    { name: 'p99', unit: 'ms', value: 9.876, beside: 4, target: { value: 15, better: 'lower' } },
    { name: 'rate', unit: 'intents/s', value: 12_345.6, beside: 20_000 },
  ],
};
describe('a report', () => {
  it('is a table that says which targets are held', () => {
    const lines = table(report).split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(lines.slice(2)).toEqual([
      ['Osier', 'raw', 'ratio', 'spread', 'target'],
      ['ratio', '0.40', '0.25 – 0.50', '≥ 0.50', 'MISSED'],
      ['p99, ms', '9.88', '4.00', '2.47', '≤ 15.0', 'held'],
      ['rate, intents/s', '12,346', '20,000', '0.62'],
      [''], ['two rounds'],
    ]);
  });
  it('has colours only where it is to have them, and a missed target in red', () => {
    const paint = { green: (text: string) => `<g>${text}</g>`, red: (text: string) => `<r>${text}</r>`, bold: (text: string) => text };
    expect(table(report, paint)).toContain('<r>MISSED</r>');
    expect(table(report, paint)).toContain('<g>held  </g>');
  });
  it('is JSON in which the targets stand by themselves', () => {
    const written = JSON.parse(asJson(report, { bench: 'bus', quick: true, version: '1', at: 'now', machine: { cores: 2 } })) as object;
    expect(written).toMatchObject({ bench: 'bus', quick: true, machine: { cores: 2 } });
    expect(written).toMatchObject({ targets: [{ name: 'ratio', value: 0.4, target: 0.5, better: 'higher' }, { name: 'p99, ms', value: 9.876, target: 15, better: 'lower' }] });
  });
  it('holds no target with what was measured at another scale, and says what is not there yet', () => {
    const smaller: Report = { ...report, figures: [{ name: 'p99', unit: 'ms', value: 1, target: { value: 15, better: 'lower', not: 'asked for are 1000 nodes' } }], notBuilt: ['address groups'] };
    const lines = table(smaller).split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(lines.slice(3, 5)).toEqual([['p99, ms', '1.00', '≤ 15.0', 'not at its scale'], ['address groups', 'not built']]);
    expect(JSON.parse(asJson(smaller, { bench: 'policy', quick: true, version: '1', at: 'now', machine: {} }))).toMatchObject({ targets: [{ not: 'asked for are 1000 nodes' }], notBuilt: ['address groups'] });
  });
  it('holds a target at its very value', () => {
    expect([held(0.5, { value: 0.5, better: 'higher' }), held(0.49, { value: 0.5, better: 'higher' }), held(15, { value: 15, better: 'lower' }), held(15.1, { value: 15, better: 'lower' })]).toEqual([true, false, true, false]);
  });
});
