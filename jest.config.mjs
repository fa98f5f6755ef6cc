// One project per kind of test; run one with `npm run jest -- --selectProjects unit`.
const shared = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2023', transform: { verbatimModuleSyntax: true } }, module: { type: 'es6' }, sourceMaps: 'inline' }] },
  // Workspace packages are reached through links in node_modules; jest resolves them to their real path, so they are transformed.
  transformIgnorePatterns: ['/node_modules/'],
  modulePathIgnorePatterns: ['<rootDir>/.nx/', '<rootDir>/.cache/'],
};

const project = (displayName, ...globs) => ({
  ...shared,
  displayName,
  rootDir: import.meta.dirname,
  testMatch: globs.map((glob) => `<rootDir>/${glob}/**/*.test.ts`),
});

/** Left out of a short run; the others have the worst of each there. */
const long = process.env.OSIER_QUICK === '1' ? ['partition', 'cluster-lab', 'backup-lab', 'upgrade', 'restart'].map((name) => `/test/faults/${name}\\.test\\.ts$`) : [];

export default {
  projects: [
    project('unit', 'libs/*/src', 'apps/*/src', 'libs/*/tools', 'apps/*/tools'),
    project('tools', 'tools'),
    project('kernel', 'libs/*/test', 'apps/*/test'),
    project('scenarios', 'test/scenarios'),
    project('lab', 'test/lab'),
    project('conformance', 'test/conformance'),
    project('security', 'test/security'),
    { ...project('faults', 'test/faults'), testPathIgnorePatterns: ['/node_modules/', ...long] },
    project('sight', 'test/sight'),
    project('runtimes', 'test/runtimes'),
    project('kubernetes', 'test/kubernetes'),
    project('mutants', 'test/mutants'),
    // The same suites once more, on the database that OSIER_TEST_STORE names.
    { ...project('store'), testMatch: ['test/scenarios/scenarios', 'libs/runtime/src/crash', 'test/faults/restart', 'test/faults/chaos'].map((file) => `<rootDir>/${file}.test.ts`) },
  ],
};
