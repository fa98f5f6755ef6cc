import { describe, expect, it } from '@jest/globals';
import { plainScalar } from './plain-scalar.ts';

/** As kubectl and an API server of 1.34 read them. */
describe('a scalar without quotes', () => {
  it.each<[string, unknown]>([
    ['yes', true], ['Yes', true], ['YES', true], ['yEs', 'yEs'], ['on', true], ['Off', false], ['no', false], ['NO', false], ['true', true], ['FALSE', false], ['y', 'y'], ['N', 'N'],
    ['', null], ['~', null], ['null', null], ['Null', null], ['nULL', 'nULL'], ['.inf', Number.POSITIVE_INFINITY], ['-.Inf', Number.NEGATIVE_INFINITY], ['.NaN', Number.NaN], ['.nAn', '.nAn'],
    ['0', 0], ['80', 80], ['+80', 80], ['-1', -1], ['1_000', 1000], ['1_', 1], ['1_0', 10], ['010', 8], ['-010', -8], ['0_7', 7], ['08', 8], ['089', 89], ['0o14', 12], ['0O14', 12], ['0b11', 3], ['-0b11', -3], ['0x1F', 31], ['0X1f', 31], ['+0x1', 1],
    ['0b12', '0b12'], ['0xg', '0xg'], ['0x', '0x'], ['18446744073709551615', 2 ** 64], ['-9223372036854775808', -(2 ** 63)], ['99999999999999999999', 1e20],
    ['1.5', 1.5], ['1.', 1], ['-.5', -0.5], ['.5', 0.5], ['.1_0', 0.1], ['._1', '._1'], ['.5e1', 5], ['1e3', 1000], ['1E+3', 1000], ['685_230.15', 685_230.15], ['1e', '1e'], ['123e4567', '123e4567'], ['1e400', '1e400'], ['-1e400', '-1e400'], ['.1e400', '.1e400'],
    ['1.2.3', '1.2.3'], ['10.0.0.0/8', '10.0.0.0/8'], ['1a', '1a'], ['-', '-'], ['+', '+'], ['--1', '--1'], ['-a', '-a'], ['.', '.'], ['..', '..'], ['12:30', '12:30'], ['2026-01-31', '2026-01-31'], ['web', 'web'], ['constructor', 'constructor'],
  ])('%j is %p', (text, value) => expect(plainScalar(text)).toEqual(value));
});
