/** Keys and answers of idempotent requests. Each step is one statement; nothing here waits. */
import type { Database } from './postgres.js';

export interface StoredAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type Claimed =
  /** The caller executes. `operation` is the same for every execution of this key. */
  | { readonly outcome: 'claimed'; readonly operation: string }
  | { readonly outcome: 'answered'; readonly answer: StoredAnswer }
  /** Another request executes it right now. */
  | { readonly outcome: 'running' }
  /** The key was used with another input. */
  | { readonly outcome: 'mismatch' };

/** Longer than any request takes: deadlines end it far earlier. */
const claimS = 60;
const keptHours = 24;
const sweepRowsMax = 1000;

interface Row {
  /** Null: not claimed. */
  readonly operation: string | null;
  readonly matches: boolean | null;
  readonly status: number | null;
  readonly headers: Record<string, string> | null;
  readonly body: string | null;
}

export class IdempotencyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The first of the keys that is kept; null when none is. */
  async used(owner: string, keys: readonly string[]): Promise<string | null> {
    const [row] = await this.#database.run(
      'idempotency.used',
      (sql) => sql<{ key: string }[]>`
        select key from idempotency_keys
        where owner = ${owner} and key = any(${keys as string[]}) and expires_at > now()
        order by array_position(${keys as string[]}, key) limit 1`,
    );
    return row?.key ?? null;
  }

  /**
   * Takes the key for `claim`, or says why not. Of two callers at once, one gets it.
   * @param owner names the user, operator or API key that sent it
   */
  async claim(owner: string, key: string, inputHash: Buffer, claim: string): Promise<Claimed> {
    const [row] = await this.#database.run(
      'idempotency.claim',
      (sql) => sql<Row[]>`
        with claimed as (
          insert into idempotency_keys as k (owner, key, input_hash, claim, claimed_until, expires_at)
          values (${owner}, ${key}, ${inputHash}, ${claim}, now() + make_interval(secs => ${claimS}),
            now() + make_interval(hours => ${keptHours}))
          on conflict (owner, key) do update set input_hash = excluded.input_hash, claim = excluded.claim,
            claimed_until = excluded.claimed_until, expires_at = excluded.expires_at,
            operation = case when k.expires_at < now() then excluded.operation else k.operation end,
            status = null, headers = null, body = null
          where k.expires_at < now()
            or (k.status is null and k.claimed_until < now() and k.input_hash = excluded.input_hash)
          returning operation
        )
        select (select operation from claimed) as operation, k.input_hash = ${inputHash} as matches,
          k.status, k.headers, k.body
        from (values (0)) as one left join idempotency_keys k on k.owner = ${owner} and k.key = ${key}`,
    );
    const { operation, matches, status, headers, body } = row!;
    if (operation !== null) return { outcome: 'claimed', operation };
    if (matches === false) return { outcome: 'mismatch' };
    // No row: it was committed after this statement began, so its execution is about to run.
    if (status === null || matches === null) return { outcome: 'running' };
    return { outcome: 'answered', answer: { status, headers: headers ?? {}, body: body ?? '' } };
  }

  /** Keeps the answer, unless the claim was given up meanwhile. */
  async answer(owner: string, key: string, claim: string, answer: StoredAnswer): Promise<void> {
    await this.#database.run(
      'idempotency.answer',
      (sql) => sql`
        update idempotency_keys set status = ${answer.status}, headers = ${sql.json(answer.headers)},
        body = ${answer.body}
        where owner = ${owner} and key = ${key} and claim = ${claim} and status is null`,
    );
  }

  /** The execution failed: the next request with this key and input executes again, as the same operation. */
  async release(owner: string, key: string, claim: string): Promise<void> {
    await this.#database.run(
      'idempotency.release',
      (sql) => sql`
        update idempotency_keys set claimed_until = '-infinity'
        where owner = ${owner} and key = ${key} and claim = ${claim} and status is null`,
    );
  }

  /** Deletes keys that have lapsed, a bounded number. @returns how many */
  async sweep(): Promise<number> {
    const rows = await this.#database.run(
      'idempotency.sweep',
      (sql) => sql`
        delete from idempotency_keys where (owner, key) in (
          select owner, key from idempotency_keys where expires_at < now() limit ${sweepRowsMax}
        ) returning 1`,
    );
    return rows.length;
  }
}
