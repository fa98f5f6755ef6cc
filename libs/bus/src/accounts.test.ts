import { describe, expect, it } from '@jest/globals';
import { natsConfiguration } from './accounts.ts';
import { newInstallation } from './installation.ts';

const { trust } = await newInstallation();
const given = { listen: '127.0.0.1:4222', storeDir: '/var/lib/osier/nats', trust };

describe('the NATS configuration', () => {
  it('names whom the server trusts, and no password and no seed', () => {
    const config = natsConfiguration(given);
    expect(config).toContain(`operator: "${trust.operator}"`);
    expect(config).toContain(`system_account: "${trust.systemAccount}"`);
    for (const [key, jwt] of Object.entries(trust.accounts)) expect(config).toContain(`  ${key}: "${jwt}"`);
    expect(config).not.toMatch(/password|S[OAU][A-Z2-7]{56}/);
  });
  it('given a path with quotes, escapes it, and refuses one with a line break', () => {
    expect(natsConfiguration({ ...given, storeDir: 'a"b\\c' })).toContain('store_dir: "a\\"b\\\\c"');
    expect(() => natsConfiguration({ ...given, storeDir: 'a\nb' })).toThrow(/control character/);
  });
});
