/**
 * The audit trail as the API writes and reads it. Changes of rows record themselves (sql/migrations/262); here are the
 * events that change no row, the sealing, and the list for operators.
 */
import type { PanKeys } from '../../platform/masking/hidden-ids.js';
import { type By, contextOf } from './acting.js';
import { refusalOf } from './database-errors.js';
import type { Database } from './postgres.js';

export const auditActorKinds = ['user', 'operator', 'key', 'visitor', 'system', 'database'] as const;
/** unknown: it was asked of the engine, and what came of it could not be found out. */
export const auditOutcomes = ['done', 'refused', 'asked', 'unknown'] as const;
export type AuditOutcome = (typeof auditOutcomes)[number];

export interface AuditEvent {
  /** `object.what_happened` */
  readonly action: string;
  readonly objectKind: string | null;
  /** Public id, or one of the processor's. One that holds a card number is recorded as the ledger keeps it. */
  readonly objectId: string | null;
  readonly before?: Readonly<Record<string, unknown>>;
  /** Neither secrets nor card data nor e-mail addresses. */
  readonly after?: Readonly<Record<string, unknown>>;
  readonly outcome?: AuditOutcome;
}

export interface AuditEntry {
  readonly id: number;
  readonly at: string;
  readonly actorKind: (typeof auditActorKinds)[number];
  readonly actorId: string | null;
  readonly address: string | null;
  readonly requestId: string | null;
  readonly action: string;
  readonly objectKind: string | null;
  readonly objectId: string | null;
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
  readonly outcome: AuditOutcome;
  /** Null: not sealed yet. */
  readonly place: number | null;
}

/** An entry `asked` that has no outcome. */
export interface OpenEntry {
  readonly id: number;
  readonly action: string;
  readonly objectId: string;
  /** Id of the movement or the release, else of the request. */
  readonly key: string;
  readonly after: Readonly<Record<string, unknown>> | null;
}

export interface AuditFilter {
  readonly actor?: string | undefined;
  readonly object?: string | undefined;
  readonly action?: string | undefined;
  /** A deposit or withdrawal of the account that is the object. */
  readonly movement?: string | undefined;
  readonly outcome?: AuditOutcome | undefined;
  readonly from?: string | undefined;
  /** Exclusive. */
  readonly to?: string | undefined;
}

export interface AuditHead {
  readonly place: number;
  /** Hexadecimal. */
  readonly hash: string;
}

/** In one statement; the sealer comes back at once while there is more. */
const sealBatch = 1000;

export class AuditTrail {
  readonly #database: Database;
  readonly #panKeys: PanKeys;

  constructor(database: Database, panKeys: PanKeys) {
    this.#database = database;
    this.#panKeys = panKeys;
  }

  /** Checks the actor as of now and records the event. @throws ActorRefused when they may not act any more */
  async record(by: By, event: AuditEvent): Promise<void> {
    try {
      await this.#write(by, [event], 'audit_record');
    } catch (error) {
      throw refusalOf(error);
    }
  }

  /** Records what has happened already, whatever has become of the actor meanwhile. */
  async note(by: By, ...events: readonly AuditEvent[]): Promise<void> {
    await this.#write(by, events, 'audit_append');
  }

  async #write(by: By, events: readonly AuditEvent[], write: 'audit_record' | 'audit_append'): Promise<void> {
    const rows = events.map(({ action, objectKind, objectId, before = null, after = null, outcome = 'done' }) => ({
      action,
      objectKind,
      objectId: objectId === null ? null : this.#panKeys.keptForms(objectId)[0]!,
      before,
      after,
      outcome,
    }));
    await this.#database.run(
      'audit.write',
      (sql) => sql`
        select ${sql(write)}(${contextOf(sql, by)}, e.action, e."objectKind", e."objectId", e.before, e.after,
        e.outcome)
        from jsonb_to_recordset(${sql.json(rows as never)}::jsonb)
          as e(action text, "objectKind" text, "objectId" text, before jsonb, after jsonb, outcome text)`,
    );
  }

  /** Newest first, one more than `limit` so that the caller knows whether there is more. */
  async list(filter: AuditFilter, beforeId: number, limit: number): Promise<readonly AuditEntry[]> {
    const { actor, object, action, movement, outcome, from, to } = filter;
    return this.#database.run('audit.list', (sql) => {
      const matching = sql`id < ${beforeId}
        ${actor === undefined ? sql`` : sql`and actor_id = ${actor}`}
        ${object === undefined ? sql`` : sql`and object_id = any(${this.#panKeys.keptForms(object)})`}
        ${action === undefined ? sql`` : sql`and action = ${action}`}
        ${outcome === undefined ? sql`` : sql`and outcome = ${outcome}`}
        ${movement === undefined ? sql`` : sql`and after->>'id' = ${movement}`}
        ${from === undefined ? sql`` : sql`and at >= ${from}::timestamptz`}
        ${to === undefined ? sql`` : sql`and at < ${to}::timestamptz`}`;
      const columns = sql`id, at, actor_kind, actor_id, address, request_id, action, object_kind, object_id, before,
        after, outcome`;
      // An entry moves from one table to the other in one transaction, and this statement sees it in one of them.
      return sql<AuditEntry[]>`
        select id, at, actor_kind as "actorKind", actor_id as "actorId", address, request_id as "requestId", action,
          object_kind as "objectKind", object_id as "objectId", before, after, outcome, place
        from (
          (select ${columns}, null::bigint as place from audit_fresh where ${matching}
          order by id desc limit ${limit + 1})
          union all
          (select ${columns}, place from audit_trail where ${matching} order by id desc limit ${limit + 1})
        ) entries
        order by id desc limit ${limit + 1}`;
    });
  }

  /**
   * Oldest first, behind them those that the engines could not be asked about: one of them must not hold up the others.
   * @param openMsMin how long an entry has no outcome at least
   */
  open(openMsMin: number, limit: number): Promise<readonly OpenEntry[]> {
    return this.#database.run(
      'audit.open',
      (sql) => sql<OpenEntry[]>`
        select id, action, object_id as "objectId", key, after
        from audit_open where at < clock_timestamp() - make_interval(secs => ${openMsMin / 1000})
        order by failing_since nulls first, id limit ${limit}`,
    );
  }

  /** The engines could not be asked about it. @returns for how long that is so, in milliseconds */
  async failing(id: number): Promise<number> {
    const [row] = await this.#database.run(
      'audit.failing',
      (sql) => sql<{ sinceMs: number | null }[]>`select audit_failing(${id}) as "sinceMs"`,
    );
    return row!.sinceMs ?? 0;
  }

  /** Records what came of an open entry. @returns false: it has an outcome meanwhile */
  async complete(
    id: number,
    outcome: Exclude<AuditOutcome, 'asked'>,
    found: Readonly<Record<string, string | number | null>>,
  ): Promise<boolean> {
    const [row] = await this.#database.run(
      'audit.complete',
      (sql) => sql<{ isNew: boolean }[]>`
        select audit_complete(${id}, ${outcome}, ${sql.json(found)}::jsonb) as "isNew"`,
    );
    return row!.isNew;
  }

  /** Seals a batch of committed entries. @returns how many; 0 also while another process seals */
  async seal(): Promise<number> {
    const [row] = await this.#database.run(
      'audit.seal',
      (sql) => sql<{ count: number }[]>`select audit_seal(${sealBatch}) as count`,
    );
    return row!.count;
  }

  /** Makes partitions ahead and drops those that are too old. @returns how many */
  async upkeep(): Promise<number> {
    const [row] = await this.#database.run(
      'audit.upkeep',
      (sql) => sql<{ count: number }[]>`select audit_upkeep() as count`,
    );
    return row!.count;
  }

  /** The newest sealed entry, for copies elsewhere. */
  async head(): Promise<AuditHead> {
    const [row] = await this.#database.run(
      'audit.head',
      (sql) => sql<AuditHead[]>`select place, encode(hash, 'hex') as hash from audit_head`,
    );
    return row!;
  }
}
