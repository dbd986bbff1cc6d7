/** Which test files run a second time. */
import t from 'tap';
import { filesToRepeat, unsteadyMax } from './second-run.js';
import type { TestFile } from './tap-results.js';

function fileOf(file: string, failureCount: number): TestFile {
  const failure = { file, path: [], diagnostics: [] };
  const failures = Array.from({ length: failureCount }, () => failure);
  return { file, durationMs: 1, cpuMs: 1, passed: 1, failed: failureCount, failures };
}

t.test('a failed file runs again once, however many of its tests failed', async (t) => {
  t.same(filesToRepeat([fileOf('dist/a.test.js', 0), fileOf('dist/b.test.js', 3)]), ['dist/b.test.js']);
});

t.test('no file runs again when none failed or more failed than chance explains', async (t) => {
  t.same(filesToRepeat([fileOf('dist/a.test.js', 0)]), []);
  const many = Array.from({ length: unsteadyMax + 1 }, (_, index) => fileOf(`dist/${index}.test.js`, 1));
  t.same(filesToRepeat(many), []);
});
