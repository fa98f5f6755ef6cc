// A process of its own for each: what it takes to compile a world from nothing, and how many identities labels make. The answer is a line of JSON.
import { hash } from 'node:crypto';
import { createCompiler } from '@osier/domain/policy/incremental';
import type { Spec } from '@osier/contracts/kinds';
import type { Member, Policy } from '@osier/domain/policy/model';
import { osierPolicy, scopeTagsOf } from '@osier/domain/rules/osier';
import { random, type Size, world } from './world.ts';

export interface Compiled { readonly ms: number; readonly rss: number; readonly identities: number; readonly programs: number; readonly entries: number }
export interface Labelled { readonly ms: number; readonly rss: number; readonly identities: number; readonly signatures: number }

const sha256 = (text: string): string => hash('sha256', text, 'hex');
const environment = 'acme/shop/staging';
const megabytes = (): number => process.resourceUsage().maxRSS / 1024;
const place = { domain: 'acme', project: 'shop', environment: 'staging' };
const policyOf = (n: number, { name, spec }: { name: string; spec: Spec<'policy'> }): Policy => ({ ...osierPolicy({ kind: 'policy', ...place, path: `${environment}/${name}`, spec }), id: `id-${n}` });
const levels = scopeTagsOf(environment);
const memberOf = (tags: Member['tags'], n: number): Member => ({ name: `${environment}/e${n}`, scope: environment, scopeTags: levels, tags, ports: [], addresses: [] });

/** Every endpoint as if all were on one node: each one's identity and program. */
function compile(size: Size): Compiled {
  const { endpoints, policies } = world(size);
  const given = policies.map((one, n) => policyOf(n, one));
  const tags = endpoints.map((e) => e.spec.tags);
  const began = performance.now();
  const compiler = createCompiler(environment, sha256, 16);
  tags.forEach((t, n) => compiler.putParty(`e${n}`, memberOf(t, n), true));
  for (const policy of given) compiler.putPolicy(policy);
  compiler.settle();
  const identities = new Set(tags.map((_, n) => compiler.identityOf(`e${n}`).digest));
  const programs = new Set(tags.map((_, n) => compiler.programOf(`e${n}`)));
  const ms = performance.now() - began;
  return { ms, rss: megabytes(), identities: identities.size, programs: programs.size, entries: [...new Set([...programs].flatMap((p) => p.slots))].reduce((sum, slot) => sum + (compiler.layerOf(slot)?.entries.length ?? 0), 0) };
}

/** Endpoints with random labels, rules that read a few of them; the signatures are counted by looking each rule up for each endpoint. */
function label(o: { endpoints: number; labels: number; rules: number }): Labelled {
  const next = random(7);
  const rule = (): { key: string; value: string } => ({ key: `label-${next(o.labels)}`, value: `v${next(4)}` });
  const rules = Array.from({ length: o.rules }, () => [rule(), rule()] as const);
  const tags = Array.from({ length: o.endpoints }, () => Object.fromEntries(Array.from({ length: o.labels }, (_, n) => [`label-${n}`, `v${next(4)}`])));
  const selectors = rules.map((two) => Object.fromEntries(two.map(({ key, value }) => [key, value])));
  const policies = selectors.map((matchTags, n) => policyOf(n, { name: `p-${n}`, spec: { appliesTo: {}, priority: 1000, ingress: [{ action: 'Allow', from: [{ endpoints: { matchTags } }] }] } }));
  const began = performance.now();
  const compiler = createCompiler(environment, sha256, 16);
  tags.forEach((t, n) => compiler.putParty(`e${n}`, memberOf(t, n), n === 0));
  for (const policy of policies) compiler.putPolicy(policy);
  compiler.settle();
  const identities = new Set(tags.map((_, n) => compiler.identityOf(`e${n}`).digest)).size;
  const ms = performance.now() - began;
  const conditions = selectors.map((matchTags) => Object.entries(matchTags));
  const distinct = new Map(conditions.map((these) => [JSON.stringify([...these].sort()), these]));
  const signatures = new Set(tags.map((t) => [...distinct.values()].map((these) => (these.every(([key, value]) => t[key] === value) ? '1' : '0')).join('')));
  return { ms, rss: megabytes(), identities, signatures: signatures.size };
}

const [what = '', given = '{}'] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(what === 'compile' ? compile(JSON.parse(given) as Size) : label(JSON.parse(given) as Parameters<typeof label>[0]))}\n`);
