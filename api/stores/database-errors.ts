/** What goes wrong between us and Postgres, told apart by what a caller can do about it. */

/** Postgres cannot be reached, does not answer in time, or too many queries wait for it. Trying again is right. */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable';
}

/** Whether a unique constraint refused the row; `name` narrows it to one. */
export function isUniqueViolation(error: unknown, name?: string): boolean {
  const { code, constraint_name: constraint } = (error ?? {}) as { code?: unknown; constraint_name?: unknown };
  return code === '23505' && (name === undefined || constraint === name);
}
