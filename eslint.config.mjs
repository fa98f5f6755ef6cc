import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

/** What each layer may import: itself where it holds several packages, and downward. An app never imports an app. */
const LAYERS = {
  contracts: ['contracts'],
  domain: ['domain', 'contracts'],
  adapter: ['adapter', 'domain', 'contracts'],
  runtime: ['runtime', 'adapter', 'domain', 'contracts'],
  testing: ['runtime', 'adapter', 'domain', 'contracts'],
  app: ['runtime', 'adapter', 'domain', 'contracts'],
};
/** The packages from npm that the two pure layers may use. */
const PURE_EXTERNALS = { contracts: ['zod', 'ajv', 'ajv/*', 'ajv-formats'], domain: ['yaml'] };

const depConstraints = (inTests) =>
  Object.entries(LAYERS).map(([layer, below]) => ({
    sourceTag: `layer:${layer}`,
    onlyDependOnLibsWithTags: (inTests ? [...below, 'testing'] : below).map((name) => `layer:${name}`),
    ...(PURE_EXTERNALS[layer] && !inTests ? { allowedExternalImports: PURE_EXTERNALS[layer] } : {}),
  }));

const boundaries = (inTests) => ['error', { allow: [], depConstraints: depConstraints(inTests) }];

const BARRELS = [
  { selector: 'ExportAllDeclaration', message: 'No barrels: name what a room exports, in the package.json of its package.' },
];
const CLOCK_AND_RANDOM = [
  { selector: "MemberExpression[object.name='Date'][property.name='now']", message: 'No clock here: take the time as an argument.' },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'No clock here: take the time as an argument.' },
  { selector: "CallExpression[callee.name='Date']", message: 'No clock here: take the time as an argument.' },
  { selector: "MemberExpression[object.name='Math'][property.name='random']", message: 'No random here: take ids and choices as arguments.' },
  { selector: "MemberExpression[object.name='globalThis']", message: 'No globals here: take what is needed as an argument.' },
  { selector: 'ImportExpression', message: 'Pure code loads nothing while it runs.' },
];
const GLOBALS = ['performance', 'crypto', 'process', 'Intl', 'setTimeout', 'setInterval', 'fetch', 'Temporal'];

export default tseslint.config(
  { ignores: ['**/node_modules/', '.nx/', '.cache/', 'coverage/', '.test-results/', '**/*.gen.ts', 'test/data/', 'test/released/'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts', '**/*.mjs'],
    plugins: { '@nx': nx },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@nx/enforce-module-boundaries': boundaries(false),
      'no-restricted-syntax': ['error', ...BARRELS],
      'no-var': 'error',
      'prefer-const': 'error',
      eqeqeq: 'error',
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['libs/contracts/src/**/*.ts', 'libs/domain/src/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-syntax': ['error', ...BARRELS, ...CLOCK_AND_RANDOM],
      'no-restricted-globals': ['error', ...GLOBALS.map((name) => ({ name, message: 'Pure code: take what is needed as an argument.' }))],
      'no-restricted-imports': ['error', { patterns: [{ group: ['node:*'], message: 'Pure code does not know Node.' }] }],
    },
  },
  {
    files: ['**/index.ts'],
    rules: { 'no-restricted-syntax': ['error', { selector: 'Program', message: 'No index.ts: name the room after what is in it.' }] },
  },
  {
    files: ['**/*.test.ts', '{libs,apps}/*/test/**/*.ts'],
    rules: { '@nx/enforce-module-boundaries': boundaries(true) },
  },
);
