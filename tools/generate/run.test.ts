import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { staleFiles } from './run.ts';

describe('stale derived files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'osier-generate-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('are those that differ or do not exist', () => {
    writeFileSync(join(folder, 'same.md'), 'one\n');
    writeFileSync(join(folder, 'old.md'), 'one\n');
    expect(staleFiles({ 'same.md': 'one\n', 'old.md': 'two\n', 'none.md': 'three\n' }, folder)).toEqual(['old.md', 'none.md']);
  });
});
