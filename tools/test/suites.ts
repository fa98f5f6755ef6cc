/** One kind of test: a jest project, or a check that counts as one test. */
export interface Suite {
  readonly name: string;
  /** What a person reads while it runs. */
  readonly title: string;
  /** Script of a check, relative to the repository, with its arguments. Absent for a jest project. */
  readonly check?: readonly string[];
  /** Folder pattern of a jest project: it is left out while no test is there. */
  readonly files?: string;
  /** These files are other suites' too: they run once more, otherwise. */
  readonly again?: true;
  /** jest workers; the lab measures real time and runs alone. */
  readonly workers?: number;
  /** Minutes before the suite is stopped and counted as failed. */
  readonly minutes: number;
}

/** What `npm test` runs, in this order: fast first, real packets last. */
export const SUITES: readonly Suite[] = [
  { name: 'generate', title: 'derived files are fresh', check: ['tools/generate/run.ts', '--check'], minutes: 1 },
  { name: 'types', title: 'types, layer by layer', check: ['tools/check/types.ts'], minutes: 2 },
  { name: 'lint', title: 'lint and layer boundaries', check: ['tools/check/lint.ts'], minutes: 2 },
  { name: 'tools', title: 'the checks themselves', files: 'tools/**/*.test.ts', workers: 1, minutes: 2 },
  { name: 'unit', title: 'units', files: '{libs,apps}/*/{src,tools}/**/*.test.ts', workers: 2, minutes: 6 },
  { name: 'kernel', title: 'programs and tables in this kernel', files: '{libs,apps}/*/test/**/*.test.ts', workers: 1, minutes: 5 },
  { name: 'scenarios', title: 'whole control plane in memory', files: 'test/scenarios/**/*.test.ts', workers: 2, minutes: 3 },
  { name: 'conformance', title: 'foreign clients by the published documents', files: 'test/conformance/**/*.test.ts', workers: 1, minutes: 6 },
  { name: 'security', title: 'attacks that must fail', files: 'test/security/**/*.test.ts', workers: 1, minutes: 15 },
  { name: 'lab', title: 'real processes, real kernel, real packets', files: 'test/lab/**/*.test.ts', workers: 1, minutes: 7 },
];

/** Suites with a command of their own, outside `npm test` unless named above. */
export const EXTRA: readonly Suite[] = [
  { name: 'faults', title: 'killed and broken parts', files: 'test/faults/**/*.test.ts', workers: 1, minutes: 40 },
  { name: 'store', title: 'scenarios, crashes and faults on the database that OSIER_TEST_STORE names', files: '{test/scenarios/scenarios,libs/runtime/src/crash,test/faults/restart,test/faults/chaos}.test.ts', again: true, workers: 1, minutes: 40 },
  { name: 'sight', title: 'what people see', files: 'test/sight/**/*.test.ts', workers: 1, minutes: 20 },
  { name: 'runtimes', title: 'container runtimes', files: 'test/runtimes/**/*.test.ts', workers: 1, minutes: 20 },
  { name: 'kubernetes', title: 'Kubernetes', files: 'test/kubernetes/**/*.test.ts', workers: 1, minutes: 30 },
  { name: 'mutants', title: 'seeded breaks that tests must catch', files: 'test/mutants/**/*.test.ts', workers: 1, minutes: 30 },
];
