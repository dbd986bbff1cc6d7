/** What goes wrong between us and Postgres, told apart by what a caller can do about it. */

/** Postgres cannot be reached, does not answer in time, or too many queries wait for it. Trying again is right. */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable';
}

/** Others change the same row, and did not end in time. Trying again is right. */
export class Contended extends Error {
  override readonly name = 'Contended';
}

/** Whether a unique constraint refused the row; `name` narrows it to one. */
export function isUniqueViolation(error: unknown, name?: string): boolean {
  const { code, constraint_name: constraint } = (error ?? {}) as { code?: unknown; constraint_name?: unknown };
  return code === '23505' && (name === undefined || constraint === name);
}

/** Whether the statement gave way to others that hold the same rows: a lock in time was not to be had, or a deadlock. */
export function isLockFailure(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return code === '55P03' || code === '40P01';
}
