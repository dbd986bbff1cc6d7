/** What goes wrong between us and Postgres, sorted by what a caller can do about it. */

/** Postgres cannot be reached, does not answer in time, or too many queries wait for it. Trying again is right. */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable';
}

/** Others change the same row, and did not end in time. Trying again is right. */
export class Contended extends Error {
  override readonly name = 'Contended';
}

/** The actor of a writing statement may not write any more: nothing was written. */
export class ActorRefused extends Error {
  override readonly name = 'ActorRefused';
  /** 401: blocked, or the session has ended. 403: another role. */
  readonly status: 401 | 403;

  constructor(status: 401 | 403, options: ErrorOptions) {
    super('the actor of a statement is refused', options);
    this.status = status;
  }
}

/** The refusal of actor_check() (sql/migrations/260), as itself; every other error as it is. */
export function refusalOf(error: unknown): unknown {
  const { code } = (error ?? {}) as { code?: unknown };
  if (code === 'AF401') return new ActorRefused(401, { cause: error });
  if (code === 'AF403') return new ActorRefused(403, { cause: error });
  return error;
}

/** Whether a unique constraint refused the row; `name` narrows it to one. */
export function isUniqueViolation(error: unknown, name?: string): boolean {
  const { code, constraint_name: constraint } = (error ?? {}) as { code?: unknown; constraint_name?: unknown };
  return code === '23505' && (name === undefined || constraint === name);
}

/** A deadlock is a matter of chance: the second try meets none. */
const attemptsMax = 2;

/**
 * Runs a statement that waits for a lock, and once more when it gave way to others.
 * @param busy what to say when they keep the lock
 * @throws Contended when they do
 */
export async function withLock<T>(busy: string, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isLockFailure(error)) throw error;
      if (attempt === attemptsMax) throw new Contended(busy, { cause: error });
    }
  }
}

/**
 * Whether the statement gave way to others that hold the same rows: a lock in time was not to be had, or a deadlock.
 */
function isLockFailure(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return code === '55P03' || code === '40P01';
}
