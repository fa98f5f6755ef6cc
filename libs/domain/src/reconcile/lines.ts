import type { Digest } from '../policy/model.ts';

const heaps = 256;
/** FNV-1a. */
function heapOf(place: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < place.length; i++) hash = Math.imul(hash ^ place.charCodeAt(i), 0x01000193) >>> 0;
  return hash & (heaps - 1);
}

/**
 * Lines about places, with one digest over all of them that depends on the lines alone. They lie in heaps by place, each with a digest of its own, so that a line
 * that changes costs the digest of its heap and of the heaps' digests, not of all lines.
 */
export class Lines {
  readonly #digest: Digest;
  readonly #heaps = Array.from({ length: heaps }, () => new Map<string, string>());
  readonly #digests: (string | undefined)[] = Array.from({ length: heaps }, () => '');

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  /** `key` names the line, in its place. Undefined: there is none. */
  set(place: string, key: string, line: string | undefined): void {
    const at = heapOf(place);
    const heap = this.#heaps[at] as Map<string, string>;
    if (heap.get(key) === line) return;
    if (line === undefined) heap.delete(key);
    else heap.set(key, line);
    this.#digests[at] = undefined;
  }

  digests(): string[] {
    return this.#heaps.map((heap, at) => (this.#digests[at] ??= heap.size === 0 ? '' : this.#digest([...heap.values()].sort().join('\n'))));
  }
}
