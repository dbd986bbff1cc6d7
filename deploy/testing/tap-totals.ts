/** The totals that tap writes at the end of its output. */

export interface TapTotals {
  readonly passed: number;
  readonly failed: number;
}

/** Reads `# { total: 5, pass: 4, fail: 1 }`. Throws when the run ended before it was written. */
export function readTapTotals(output: string): TapTotals {
  const line = output
    .split('\n')
    .reverse()
    .find((candidate) => candidate.startsWith('# { total:'));
  if (line === undefined) throw new Error('the test run ended without totals');
  const number = (name: string): number => Number(new RegExp(`\\b${name}: (\\d+)`).exec(line)?.[1] ?? 0);
  const total = number('total');
  const passed = number('pass');
  // What did not pass failed, was skipped or was left to do: in this project each of them is a failure.
  return { passed, failed: total - passed };
}
