/**
 * Rounds: what one transaction or entity sees a second time in a stretch is written by the next round of statements.
 * Each costs a query; more than one is rare, and more than these are not worth waiting for.
 */
export const roundsMax = 8;

/** Where each round ends in the rows of all rounds: the last index counted from 1, as PostgreSQL slices arrays. */
export function roundEnds(rounds: readonly (readonly unknown[])[]): string {
  let end = 0;
  return `{${rounds
    .map((rows) => {
      end += rows.length;
      return end;
    })
    .join(',')}}`;
}
