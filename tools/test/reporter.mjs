// One line per test file while a suite runs, and every failure in full as soon as it is known.
import { relative } from 'node:path';

export default class Reporter {
  constructor(globalConfig) {
    this.rootDir = globalConfig.rootDir;
  }

  onTestResult(test, result) {
    const seconds = ((result.perfStats.end - result.perfStats.start) / 1000).toFixed(1);
    const counts = [
      [result.numPassingTests, 'passed'],
      [result.numFailingTests, 'failed'],
      [result.numPendingTests + result.numTodoTests, 'skipped'],
    ].filter(([count]) => count > 0);
    const summary = result.testExecError ? 'could not run' : counts.map(([count, word]) => `${count} ${word}`).join(', ');
    console.log(`    ${relative(this.rootDir, test.path)}  ${summary}  ${seconds} s`);
    if (result.failureMessage) console.log(result.failureMessage);
  }

  getLastError() {
    return undefined;
  }
}
