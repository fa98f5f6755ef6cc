import { describe, expect, it } from '@jest/globals';
import { type AccountsInput, natsConfiguration, nodeSubjects } from './accounts.ts';

const password = 'a secret';
const given: AccountsInput = {
  listen: '127.0.0.1:4222', storeDir: '/var/lib/osier/nats', services: [{ user: 'osier-tenant', password }],
  domains: [{ name: 'acme', credentials: [{ id: 'ci', password }] }], nodes: [{ name: 'node-1', password }],
};
/** The text of one account. */
const account = (config: string, name: string): string => new RegExp(`^  "?${name}"? \\{\\n(.*?)^  \\}`, 'ms').exec(config)?.[1] ?? '';

describe('the NATS configuration', () => {
  it('given a credential, lets it import only intents of its own domain under its own id, none of them internal or of the platform', () => {
    const imports = [...account(natsConfiguration(given), 'CREDENTIAL_acme_ci').matchAll(/service: \{ account: SERVICES, subject: "([^"]+)"/g)].map((m) => m[1] ?? '');
    expect(imports.length).toBeGreaterThan(5);
    for (const subject of imports) expect(subject).toMatch(/^osier\.intent\.acme\.\*\.\*\.[a-z]+\.(apply|delete)\.ci$/);
    expect(imports.filter((subject) => /\.(lease|node|domain)\./.test(subject))).toEqual([]);
    expect(imports).toContain('osier.intent.acme.*.*.network.apply.ci');
  });
  it('given a node, lets it say only what names it', () => {
    for (const subject of nodeSubjects('node-1')) expect(subject).toMatch(/(^|[.-])node-1(\.>)?$/);
    expect(account(natsConfiguration(given), 'NODE_node-1')).not.toMatch(/CREATE|DELETE|INFO|DIRECT|STREAM|stream:/);
  });
  it('gives JetStream to the services alone', () => {
    const config = natsConfiguration(given);
    expect(config.match(/jetstream: enabled/g)).toHaveLength(1);
    expect(account(config, 'SERVICES')).toContain('jetstream: enabled');
  });
  it('given names that could be more than a token, or that pass for another, refuses', () => {
    const domain = (name: string): AccountsInput => ({ ...given, domains: [{ name, credentials: [] }] });
    const credential = (...ids: string[]): AccountsInput => ({ ...given, domains: [{ name: 'acme', credentials: ids.map((id) => ({ id, password })) }] });
    const node = (...names: string[]): AccountsInput => ({ ...given, nodes: names.map((name) => ({ name, password })) });
    for (const bad of ['*', '>', 'a.b', '_', '', 'A', 'a b', 'a"b', '-a']) expect(() => natsConfiguration(domain(bad))).toThrow(/domain/);
    for (const bad of ['*', '>', 'a.b', '', 'a b', 'a"', 'osier-topology']) expect(() => natsConfiguration(credential(bad))).toThrow(/credential/);
    for (const bad of ['*', '>', 'a.b', '_', 'n_1']) expect(() => natsConfiguration(node(bad))).toThrow(/node/);
    expect(() => natsConfiguration(credential('ci', 'ci'))).toThrow(/twice/);
    expect(() => natsConfiguration(node('a', 'a'))).toThrow(/twice/);
  });
  it('given a password with quotes, escapes it, and refuses one with a line break', () => {
    const withPassword = (p: string): string => natsConfiguration({ ...given, services: [{ user: 's', password: p }] });
    expect(withPassword('a"b\\c')).toContain('password: "a\\"b\\\\c"');
    expect(() => withPassword('a\nb')).toThrow(/control character/);
  });
});
