import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { parseAddress } from '../net/address.ts';
import { decide } from '../rules/decide.ts';
import { indexWorld, sideOfAddress } from '../rules/index-world.ts';
import { checkObject, worldOf } from './cluster.ts';

const folder = join(import.meta.dirname, '../../test/reach/cases');
interface Case { readonly name: string; readonly policies: readonly unknown[]; readonly expect: readonly string[] }

const line = /^(\S+) -> (\S+) (\w+) (\d+)(?: v([46]))? = (Allow|Deny)(?: by (\S+) (.+))?$/;

describe.each(readdirSync(folder))('%s', (file) => {
  const { world, cases } = parse(readFileSync(join(folder, file), 'utf8')) as { world: unknown[]; cases: Case[] };
  it.each(cases)('$name', ({ policies, expect: expected }) => {
    const checked = [...world, ...policies].map(checkObject);
    expect(checked.flatMap(({ problems }) => problems)).toEqual([]);
    const index = indexWorld(worldOf(checked.map(({ manifest }) => manifest)));
    const sideOf = (text: string) => {
      const address = text.startsWith('ip:') ? parseAddress(text.slice(3)) : undefined;
      const side = address === undefined ? index.party(text) : sideOfAddress(index, text, address);
      if (side === undefined) throw new Error(`there is no ${text}`);
      return side;
    };
    for (const text of expected) {
      const match = line.exec(text);
      if (match === null) throw new Error(`cannot read: ${text}`);
      const [, from = '', to = '', protocol = '', port, family, verdict, policy, rule] = match;
      const asked = family === undefined ? [from, to].flatMap((one) => (one.startsWith('ip:') ? [one.includes(':', 3) ? 6 as const : 4 as const] : []))[0] : Number(family) as 4 | 6;
      const decision = decide(index, { from: sideOf(from), to: sideOf(to), protocol, port: Number(port), family: asked });
      expect({ text, verdict: decision.verdict }).toEqual({ text, verdict });
      if (policy !== undefined) expect({ text, policy: decision.policy, rule: decision.rule }).toEqual({ text, policy, rule });
    }
  });
});
