import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { applySchema } from '@osier/contracts/catalogue';
import { type WritableKind, kinds, writableKinds } from '@osier/contracts/kinds';
import { nameSchema, none } from '@osier/contracts/names';
import { parse, type Problem, problem } from '@osier/contracts/problem';
import { z } from 'zod';
import { usage } from './failure.ts';
import type { Io } from './io.ts';
import { findKind, levels, levelsOf, type Place, shownPath } from './place.ts';
import { type Located, parseYaml } from '@osier/domain/manifests/yaml';

/** One object as a person wrote it, and where. */
export interface Wish {
  readonly kind: WritableKind;
  readonly place: Place;
  readonly name: string;
  readonly spec: unknown;
  readonly expectedVersion?: number;
  /** `acme/shop/staging/main` */
  readonly path: string;
  readonly at: Located;
}
export interface Faulty { readonly at: Located; readonly path: string; readonly problem: Problem }

export interface Sources { readonly wishes: readonly Wish[]; readonly faulty: readonly Faulty[] }

const endings = ['.yaml', '.yml', '.json'];

async function standardInput(io: Io): Promise<string> {
  let text = '';
  for await (const chunk of io.stdin) text += String(chunk);
  return text;
}

function filesOf(path: string): string[] {
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch {
    throw usage(`there is no file or folder ${path}.`, 'Correct the path after -f.');
  }
  if (!isFolder) return [path];
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((file) => endings.some((ending) => file.endsWith(ending))).sort();
  if (files.length === 0) throw usage(`the folder ${path} holds no .yaml, .yml or .json file.`, 'Name the folder with your documents.');
  return files.map((file) => join(path, file));
}

/** What `get -o yaml` prints and nobody may wish: left out, so that its output can be applied. */
const derived = ['id', 'parent', 'version', 'phase', 'createdAt', 'updatedAt', 'intent', 'status', 'revision'];
const known = ['kind', ...levels, 'name', 'spec', 'expectedVersion'];
const sameName = (level: string, kind: string): boolean => level === kind;

function scopeOf(kind: WritableKind, value: Record<string, unknown>, asked: Place, defaults: Place): Place | Problem {
  const place: { -readonly [L in keyof Place]: string } = {};
  for (const level of levelsOf(kind)) {
    const own = value[level];
    const token = own ?? asked[level] ?? defaults[level];
    if (token === undefined) return problem('missing-field', level, `"${level}" is required for a ${kind} and is missing.`, `Write ${level}: NAME in the document, or add --${level} NAME.`);
    if (own !== undefined && asked[level] !== undefined && own !== asked[level]) {
      return problem('other-scope', level, `The document says ${level} "${String(own).slice(0, 63)}", and the command says "${asked[level]}".`, `Leave out --${level}, or "${level}" in the document.`);
    }
    const checked = parse(z.object({ [level]: nameSchema }), { [level]: token });
    if (!checked.ok) return checked.problem;
    place[level] = String(token);
  }
  for (const level of levels) {
    if (level in place || value[level] === undefined || value[level] === none) continue;
    if (sameName(level, kind) && value[level] === value['name']) continue;
    return problem('unknown-field', level, `"${level}" does not apply to a ${kind}.`, `Remove "${level}".`);
  }
  return place;
}

function wishOf(at: Located, asked: Place, defaults: Place): Wish | Faulty {
  const faulty = (of: Problem, path = at.file): Faulty => ({ at, path, problem: of });
  if (at.error !== undefined) return faulty(problem('not-yaml', '', at.error, 'Correct the syntax.'));
  if (typeof at.value !== 'object' || at.value === null || Array.isArray(at.value)) {
    return faulty(problem('wrong-type', '', 'The document is not an object.', 'Write it as kind, name and spec.'));
  }
  const value = at.value as Record<string, unknown>;
  if (value['apiVersion'] !== undefined) {
    return faulty(problem('not-osier', 'apiVersion', `This is a Kubernetes manifest (${String(value['kind']).slice(0, 63)}), not an Osier document.`, 'Load manifests with: osier lab load -f DIR --environment NAME'));
  }
  const kind = typeof value['kind'] === 'string' ? findKind(value['kind']) : undefined;
  const writable = writableKinds.find((k) => k === kind);
  if (writable === undefined) {
    const reason = value['kind'] === undefined ? '"kind" is required and is missing.' : `"${String(value['kind']).slice(0, 63)}" is not a kind that can be applied.`;
    return faulty(problem('unknown-kind', 'kind', reason, `Use one of: ${writableKinds.join(', ')}.`));
  }
  const strange = Object.keys(value).find((key) => !known.includes(key) && !derived.includes(key));
  if (strange !== undefined) return faulty(problem('unknown-field', strange.slice(0, 63), `"${strange.slice(0, 63)}" is not a field that is known here.`, `Fields: ${known.join(', ')}; what the object is to be goes into spec.`));
  const place = scopeOf(writable, value, asked, defaults);
  if ('code' in place) return faulty(place as Problem, `${writable} ${String(value['name']).slice(0, 63)}`);
  const body = { name: value['name'], spec: value['spec'] ?? {}, ...(value['expectedVersion'] === undefined ? {} : { expectedVersion: value['expectedVersion'] }) };
  const path = shownPath(writable, place as Place, String(value['name']).slice(0, 63));
  const checked = parse(applySchema(writable), body);
  if (!checked.ok) return faulty(checked.problem, `${writable} ${path}`);
  const { name, expectedVersion } = checked.value;
  return { kind: writable, place: place as Place, name, spec: body.spec, path, at, ...(expectedVersion === undefined ? {} : { expectedVersion }) };
}

/** What one kind needs stands before it; policies before endpoints, so that no endpoint carries traffic before its rules are there. */
const ranks: Record<WritableKind, number> = {
  domain: 0, project: 1, environment: 2, node: 3, 'platform-credential': 4, credential: 5, network: 6,
  'endpoint-group': 7, 'address-group': 7, 'service-group': 7, 'platform-policy': 8, 'domain-policy': 8, 'project-policy': 8, policy: 8, endpoint: 9,
};
export const order: readonly WritableKind[] = [...writableKinds].sort((a, b) => ranks[a] - ranks[b]);

/** Every document of the files, folders and `-` (standard input), as it stands there. */
export async function readDocuments(paths: readonly string[], io: Io, parse: (file: string, text: string) => Located[] = parseYaml): Promise<Located[]> {
  const found: Located[] = [];
  for (const path of paths) {
    const texts = path === '-' ? [{ file: '<stdin>', text: await standardInput(io) }] : filesOf(path).map((file) => ({ file, text: readFileSync(file, 'utf8') }));
    for (const { file, text } of texts) found.push(...parse(file, text));
  }
  return found;
}

/** Reads every document of the files, folders and `-` (standard input), checks each by the contracts. Nothing is sent. */
export const readSources = async (paths: readonly string[], io: Io, asked: Place, defaults: Place): Promise<Sources> => wishesOf(await readDocuments(paths, io), asked, defaults);

export function wishesOf(documents: readonly Located[], asked: Place, defaults: Place): Sources {
  const wishes: Wish[] = [];
  const faulty: Faulty[] = [];
  const seen = new Map<string, Wish>();
  for (const at of documents) {
    const result = wishOf(at, asked, defaults);
    if ('problem' in result) {
      faulty.push(result);
      continue;
    }
    const other = seen.get(`${result.kind} ${result.path}`);
    if (other !== undefined) {
      const reason = `${kinds[result.kind].title} ${result.path} stands already in ${other.at.file}:${other.at.lineOf('name')}.`;
      faulty.push({ at, path: `${result.kind} ${result.path}`, problem: problem('duplicate', 'name', reason, 'Remove one of the two.') });
      continue;
    }
    seen.set(`${result.kind} ${result.path}`, result);
    wishes.push(result);
  }
  wishes.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  return { wishes, faulty };
}
