/**
 * Where tests get their chance from: one seed for all properties and generators, TEST_SEED or a new one. Each file that
 * draws prints it, so TEST_SEED=<seed> repeats a failing run; with fast-check's path as FUZZ_PATH only the example that
 * failed. FUZZ_RUNS replaces how often each property is tried, for a long night.
 */
import fc from 'fast-check';
import t from 'tap';

const { FUZZ_RUNS, TEST_SEED, FUZZ_PATH } = process.env;

/** fast-check takes seeds of 32 bits with a sign. */
export const testSeed = TEST_SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(TEST_SEED);

t.comment(`TEST_SEED=${testSeed}`);
fc.configureGlobal({ seed: testSeed, ...(FUZZ_PATH === undefined ? {} : { path: FUZZ_PATH }) });

// A long night is longer than a test may usually take.
if (FUZZ_RUNS !== undefined) t.setTimeout(0);

/** How often a property is tried: its own number, quick enough for every build, unless FUZZ_RUNS says otherwise. */
export function runs(usual: number): { numRuns: number } {
  return { numRuns: FUZZ_RUNS === undefined ? usual : Number(FUZZ_RUNS) };
}
