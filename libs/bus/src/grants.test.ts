import { describe, expect, it } from '@jest/globals';
import { catalogue } from '@osier/contracts/catalogue';
import { groupKinds, policyKinds } from '@osier/contracts/kinds';
import { roles } from '@osier/contracts/roles';
import { credentialGrant, type CredentialFacts, nodeGrant, nodeSubjects, serviceNames, servicePermission, servicesExports } from './grants.ts';

const ci: CredentialFacts = { domain: 'acme', project: '_', name: 'ci', role: 'admin' };
const wishes = (facts: Partial<CredentialFacts>): string[] => credentialGrant({ ...ci, ...facts }).imports.filter((i) => i.type === 'service').map((i) => i.subject);
/** Whether every subject that the first can mean is one of the second. */
const isWithin = (subject: string, pattern: string): boolean => {
  const [a, b] = [subject.split('.'), pattern.split('.')];
  return b.every((token, i) => token === '>' ? a.length > i : a[i] !== undefined && (token === '*' ? a[i] !== '>' : a[i] === token)) && (b.at(-1) === '>' || a.length === b.length);
};

describe('what a credential may', () => {
  it.each([
    ['an admin of a domain makes all that is in it', {}, ['project', 'environment', 'credential', 'network', 'endpoint', 'policy', 'project-policy', 'domain-policy', ...groupKinds]],
    ['an editor of a domain makes networks, endpoints and policies of environments, and groups', { role: 'editor' as const }, ['network', 'endpoint', 'policy', ...groupKinds]],
    ['an admin of a project makes no project, no credential, and no policy of the domain', { project: 'shop' }, ['environment', 'network', 'endpoint', 'policy', 'project-policy', ...groupKinds]],
    ['a viewer wishes nothing', { role: 'viewer' as const }, []],
    ['an admin of the platform makes all', { domain: '_' }, ['domain', 'project', 'environment', 'node', 'credential', 'platform-credential', 'network', 'endpoint', ...policyKinds, ...groupKinds]],
  ])('%s', (_, facts, nouns) => {
    expect(new Set(wishes(facts).map((subject) => subject.split('.')[5]))).toEqual(new Set(nouns));
  });
  it('wishes in its own name, within its scope, and nothing that services alone may', () => {
    for (const role of roles) {
      for (const project of ['_', 'shop']) {
        for (const subject of wishes({ role, project })) expect(subject).toMatch(project === '_' ? /^osier\.intent\.acme\.\*\.\*\.[a-z-]+\.(apply|delete)\.ci$/ : /^osier\.intent\.acme\.shop\.\*\.[a-z-]+\.(apply|delete)\.ci$/);
      }
    }
    expect(wishes({ domain: '_', name: 'ops' }).every((subject) => subject.endsWith('.platform-ops'))).toBe(true);
    const internal = catalogue.filter((i) => i.internal).map((i) => `.${i.noun}.${i.verb}.`);
    expect(wishes({ domain: '_' }).filter((subject) => internal.some((part) => subject.includes(part)))).toEqual([]);
  });
  it('publishes and imports the same, and hears of its scope only', () => {
    const { publish, subscribe, imports } = credentialGrant({ ...ci, project: 'shop' });
    expect(imports.filter((i) => i.type === 'service').map((i) => i.subject)).toEqual(publish);
    expect(subscribe).toEqual(['osier.outcome.acme.shop.>', 'osier.flow.acme.shop.>', '_INBOX.>']);
    expect(imports.filter((i) => i.type === 'stream')).toEqual([{ type: 'stream', subject: 'osier.outcome.acme.shop.>' }, { type: 'stream', subject: 'osier.live.flow.acme.shop.>', to: 'osier.flow.acme.shop.>' }]);
  });
  it('is refused a name that is more than one token, or none', () => {
    for (const bad of ['*', '>', 'a.b', '', 'A', 'a b', '-a']) {
      expect(() => credentialGrant({ ...ci, domain: bad })).toThrow(/domain/);
      expect(() => credentialGrant({ ...ci, project: bad })).toThrow(/project/);
      expect(() => credentialGrant({ ...ci, name: bad })).toThrow(/credential/);
      expect(() => nodeGrant(bad)).toThrow(/node/);
    }
    expect(() => credentialGrant({ ...ci, name: '_' })).toThrow(/credential/);
  });
});

describe('what a node may', () => {
  it('say only what names it, and make no consumer', () => {
    for (const subject of nodeSubjects('node-1')) expect(subject).toMatch(/(^|[.-])node-1(\.>)?$/);
    expect(nodeGrant('node-1').publish.join(' ')).not.toMatch(/CREATE|DELETE|INFO|DIRECT|STREAM/);
    expect(nodeGrant('node-1').imports.filter(({ type }) => type === 'service').map(({ subject }) => subject)).toEqual(nodeSubjects('node-1'));
  });
  it('hear only what it alone is asked', () => {
    expect(nodeGrant('node-1').subscribe).toEqual(['_INBOX.>', 'osier.ask.connections.node-1']);
    expect(nodeGrant('node-1').imports.filter(({ type }) => type === 'stream')).toEqual([{ type: 'stream', subject: 'osier.ask.connections.node-1' }]);
  });
});

describe('what the services offer to the others', () => {
  it('covers whatever anybody imports', () => {
    const offered = servicesExports();
    const all = [...roles.flatMap((role) => [ci, { ...ci, project: 'shop' }, { ...ci, domain: '_' }].map((c) => credentialGrant({ ...c, role }))), nodeGrant('node-1')].flatMap((grant) => grant.imports);
    for (const { type, subject } of all) expect({ subject, offered: offered.some((e) => e.type === type && isWithin(subject, e.subject)) }).toEqual({ subject, offered: true });
  });
});

describe('what a service may', () => {
  it.each(serviceNames.filter((name) => name !== 'admin'))('%s publishes no document that another owns', (name) => {
    const states = servicePermission(name).publish.filter((subject) => subject.startsWith('osier.state.')).map((subject) => subject.split('.')[5]);
    const others = serviceNames.filter((other) => other !== name && other !== 'admin').flatMap((other) => servicePermission(other).publish).filter((subject) => subject.startsWith('osier.state.')).map((subject) => subject.split('.')[5]);
    expect(states.filter((noun) => others.includes(noun))).toEqual([]);
    expect(states.length > 0).toBe(name !== 'api');
  });
  it('none takes away what was wished, decided or recorded, but the api, which restores a backup into an empty installation', () => {
    for (const name of serviceNames.filter((n) => n !== 'admin' && n !== 'api')) {
      for (const stream of ['INTENTS', 'OUTCOMES', 'AUDIT', 'DEAD']) {
        const takes = servicePermission(name).publish.filter((subject) => isWithin(`$JS.API.STREAM.DELETE.${stream}`, subject) || (stream !== 'DEAD' && isWithin(`$JS.API.STREAM.PURGE.${stream}`, subject)));
        expect({ name, stream, takes }).toEqual({ name, stream, takes: [] });
      }
    }
  });
  it('only the api asks nodes and hears their answers', () => {
    const about = (name: (typeof serviceNames)[number], what: 'publish' | 'subscribe'): string[] => servicePermission(name)[what].filter((subject) => /connections/.test(subject));
    for (const name of serviceNames.filter((n) => n !== 'admin')) {
      expect([name, about(name, 'publish'), about(name, 'subscribe')]).toEqual([name, ...(name === 'api' ? [['osier.ask.connections.*'], ['osier.connections.*']] : [[], []])]);
    }
    for (const role of roles) for (const domain of ['_', 'acme']) expect(JSON.stringify(credentialGrant({ ...ci, domain, role }))).not.toContain('connections.');
  });
  it('a service wishes in its own name; the api in the name of whoever asks it, and publishes no document and no outcome', () => {
    expect(servicePermission('ipam').publish.filter((subject) => subject.startsWith('osier.intent'))).toEqual(['osier.intent.*.*.*.*.*.osier-ipam']);
    expect(servicePermission('api').publish.filter((subject) => /^osier\.(state|outcome|receipt|flow|dead)/.test(subject))).toEqual([]);
  });
});
