import { isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml';

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
export function parseYaml(file: string, text: string): Located[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines });
  if (!Array.isArray(documents)) return [];
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
