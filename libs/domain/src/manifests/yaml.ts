import { plainScalar } from '../kubernetes/plain-scalar.ts';
import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments, visit } from 'yaml';

/** One document of a file, and how to find the line of a field in it. */
export interface Located {
  readonly file: string;
  readonly value: unknown;
  /** Where it is not YAML. */
  readonly error: string | undefined;
  /** The line of a field such as `spec.subnets[0]`, or of the nearest thing around it that is there. */
  lineOf(path: string): number;
}

const rangeStart = (node: unknown): number | undefined => (node as Node | null | undefined)?.range?.[0];

/** The offset of the deepest node that the path leads to. Keys may hold dots and slashes, so the longest key that fits is taken. */
function offsetOf(root: unknown, path: string): number {
  let node: unknown = root;
  let rest = path;
  let offset = rangeStart(root) ?? 0;
  while (rest !== '') {
    const index = /^\[(\d+)\]\.?/.exec(rest);
    if (index !== null) {
      const item = isSeq(node) ? node.items[Number(index[1])] : undefined;
      if (item === undefined) return offset;
      node = item;
      offset = rangeStart(item) ?? offset;
      rest = rest.slice(index[0].length);
      continue;
    }
    if (!isMap(node)) return offset;
    const fitting = node.items
      .map((pair) => ({ pair, key: isScalar(pair.key) ? String(pair.key.value) : '' }))
      .filter(({ key }) => key !== '' && rest.startsWith(key) && ['', '.', '['].includes(rest.charAt(key.length)))
      .sort((a, b) => b.key.length - a.key.length)[0];
    if (fitting === undefined) return offset;
    offset = rangeStart(fitting.pair.key) ?? offset;
    node = fitting.pair.value;
    rest = rest.slice(fitting.key.length).replace(/^\./, '');
  }
  return offset;
}

/** Every document of a YAML or JSON text; those that hold nothing but comments are left out. */
export function parseYaml(file: string, text: string, adapt?: (document: Document) => void): Located[] {
  const lines = new LineCounter();
  // Merge keys are of YAML 1.1, which Kubernetes reads and Osier's own documents do not.
  const documents = parseAllDocuments(text, { lineCounter: lines, merge: adapt !== undefined });
  if (!Array.isArray(documents)) return [];
  if (adapt !== undefined) for (const document of documents) adapt(document as unknown as Document);
  return documents
    .filter((document) => document.errors.length > 0 || (document.contents !== null && document.toJS() !== null))
    .map((document): Located => {
      const error = document.errors[0];
      return {
        file,
        value: error === undefined ? document.toJS() : undefined,
        error: error?.message.split('\n')[0]?.replace(/:$/, ''),
        lineOf: (path) => lines.linePos(error?.pos[0] ?? offsetOf(document.contents, path)).line,
      };
    });
}

/** Kubernetes reads YAML 1.1, where yes, no, on and off without quotes are booleans: a label that says so is refused there. */
function asKubernetes(document: Document): void {
  if (!isMap(document.contents) || !document.contents.has('apiVersion')) return;
  visit(document, {
    Scalar: (_key, node) => {
      if (node.type === 'PLAIN' && node.tag === undefined && node.source !== undefined && node.source !== '<<') node.value = plainScalar(node.source);
    },
  });
}

const keysIn = (value: unknown): number => (typeof value !== 'object' || value === null ? 0
  : Object.values(value).reduce((sum: number, item) => sum + keysIn(item), Array.isArray(value) ? 0 : Object.keys(value).length));
const keysWritten = (text: string): number => [...text.matchAll(/"(?:[^"\\]|\\.)*"\s*(:?)/g)].filter((match) => match[1] === ':').length;

/** JSON as it is, which is many times faster; not where a key stands twice, which the reader of YAML tells with its line. */
function parseJson(file: string, text: string): Located[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || keysIn(value) !== keysWritten(text)) return undefined;
    let slow: Located | undefined;
    return [{ file, value, error: undefined, lineOf: (path) => (slow ??= parseYaml(file, text)[0])?.lineOf(path) ?? 1 }];
  } catch {
    return undefined;
  }
}

/** JSON documents one after another, with or without lines between them, as a decoder of streams reads them. Undefined where it is anything else. */
function parseJsonStream(file: string, text: string): Located[] | undefined {
  const found: Located[] = [];
  for (let [from, lines] = [0, 0]; /\S/.test(text.slice(from)); ) {
    const to = endOfJson(text, from);
    const one = to === undefined ? undefined : parseJson(file, text.slice(from, to))?.[0];
    if (to === undefined || one === undefined) return undefined;
    const before = lines;
    found.push({ ...one, lineOf: (path) => before + one.lineOf(path) });
    lines += text.slice(from, to).split('\n').length - 1;
    from = to;
  }
  return found;
}
/** Behind the object or list that begins there. */
function endOfJson(text: string, from: number): number | undefined {
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\]]/g;
  tokens.lastIndex = from;
  let depth = 0;
  for (let match = tokens.exec(text); match !== null; match = tokens.exec(text)) {
    if (match[0].startsWith('"')) continue;
    depth += '{['.includes(match[0]) ? 1 : -1;
    if (depth <= 0) return tokens.lastIndex;
  }
  return undefined;
}

/** An alias that stands inside of what it means: no server can be sent it. */
function holdsItself(value: unknown, within: readonly unknown[] = []): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return within.includes(value) || Object.values(value).some((item) => holdsItself(item, [...within, value]));
}
const refuseCircles = (document: Located): Located =>
  (holdsItself(document.value) ? { ...document, value: undefined, error: 'an alias stands inside of what it means' } : document);

/** Every document of a text that may hold Kubernetes manifests. */
export function parseManifests(file: string, text: string): Located[] {
  return (/^\s*[{[]/.test(text) ? parseJson(file, text) ?? parseJsonStream(file, text) : undefined) ?? parseYaml(file, text, asKubernetes).map(refuseCircles);
}
