// Lint over the whole repository. The Nx graph is made first: without one, the boundary rule silently skips itself.
import { ESLint } from 'eslint';
import { root } from '../root.ts';
import { makeGraph } from './graph.ts';

const started = Date.now();
await makeGraph();
const eslint = new ESLint({ cwd: root, fix: process.argv.includes('--fix') });
const results = await eslint.lintFiles(['.']);
await ESLint.outputFixes(results);
const formatter = await eslint.loadFormatter('stylish');
const text = await formatter.format(results);
if (text !== '') console.log(text);
const failed = results.filter((result) => result.errorCount + result.warningCount > 0);
console.log(`lint: ${results.length} files, ${failed.length} with findings (${((Date.now() - started) / 1000).toFixed(1)} s)`);
process.exitCode = failed.length > 0 ? 1 : 0;
