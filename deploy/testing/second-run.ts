/**
 * Which test files get a second chance. A file that failed runs once more, alone and with the same TEST_SEED. What
 * fails by its random choices or by a fault fails again. A file that failed because other files had the machine passes
 * now and is called unsteady. That is a defect of the test, shown at the end of every run, and no reason to refuse a
 * change.
 */
import type { TestFile } from './tap-results.js';

/** More files than these do not fail by chance. */
export const unsteadyMax = 3;

/** The files to run again; empty when nothing failed, or too much for chance. */
export function filesToRepeat(files: readonly TestFile[]): readonly string[] {
  const failed = files.filter(({ failures }) => failures.length > 0).map(({ file }) => file);
  return failed.length <= unsteadyMax ? failed : [];
}
