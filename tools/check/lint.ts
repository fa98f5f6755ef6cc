// Lint over the whole repository, then the rules that need types. The Nx graph is made first: without one, the boundary
// rule silently skips itself. `--fix` repairs what can be repaired.
import { join } from 'node:path';
import { ESLint } from 'eslint';
import { root } from '../root.ts';
import { makeGraph } from './graph.ts';

const started = Date.now();
const fix = process.argv.includes('--fix');
await makeGraph();
const everywhere = await new ESLint({ cwd: root, fix }).lintFiles(['.']);
await ESLint.outputFixes(everywhere);
const typed = new ESLint({ cwd: root, overrideConfigFile: join(root, 'tools/check/promises.config.mjs') });
const promises = await typed.lintFiles(['{libs,apps}/*/src/**/*.ts']);

const results = [...everywhere, ...promises];
const text = await (await typed.loadFormatter('stylish')).format(results);
if (text !== '') console.log(text);
const failed = new Set(results.filter((result) => result.errorCount + result.warningCount > 0).map((result) => result.filePath));
console.log(`lint: ${everywhere.length} files, ${failed.size} with findings (${((Date.now() - started) / 1000).toFixed(1)} s)`);
process.exitCode = failed.size > 0 ? 1 : 0;
