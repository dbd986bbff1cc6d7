/**
 * How often a property is tried: its own number, quick enough for every build, or FUZZ_RUNS for a long night. fast-check
 * prints seed and path of what fails; FUZZ_SEED=<seed> FUZZ_PATH=<path> plays it again.
 */
import t from 'tap';

export interface Runs {
  numRuns: number;
  seed?: number;
  path?: string;
}

const { FUZZ_RUNS, FUZZ_SEED, FUZZ_PATH } = process.env;

// A long night is longer than a test may usually take.
if (FUZZ_RUNS !== undefined) t.setTimeout(0);

export function runs(usual: number): Runs {
  return {
    numRuns: FUZZ_RUNS === undefined ? usual : Number(FUZZ_RUNS),
    ...(FUZZ_SEED === undefined ? {} : { seed: Number(FUZZ_SEED) }),
    ...(FUZZ_PATH === undefined ? {} : { path: FUZZ_PATH }),
  };
}

/** A seed to start from where fast-check is not used: FUZZ_SEED, or a new one on every run. */
export function freshSeed(): number {
  return FUZZ_SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(FUZZ_SEED);
}
