/** Deposits and withdrawals that wait for a second operator, and what became of them. */
import type { Acting, Operator } from '../auth/principal.js';
import { contextOf, type System, system } from './acting.js';
import type { Database, Sql } from './postgres.js';

export const fundingStatuses = ['pending', 'approved', 'done', 'refused', 'rejected', 'expired'] as const;
export type FundingStatus = (typeof fundingStatuses)[number];
export const fundingDirections = ['deposit', 'withdrawal'] as const;
export type FundingDirection = (typeof fundingDirections)[number];

/** A day: the second operator works in another shift, and an amount that was right yesterday may be wrong next week. */
export const fundingHours = 24;
/** More than operators can look through in a day. */
export const pendingMax = 1000;
const sweepRowsMax = 1000;

interface Person {
  readonly id: string;
  readonly name: string;
}

export interface Funding {
  readonly number: number;
  readonly id: string;
  readonly accountId: string;
  readonly direction: FundingDirection;
  readonly amount: number;
  readonly currency: string;
  /** Under which the engine moves the money, once. */
  readonly movementId: string;
  readonly status: FundingStatus;
  readonly requestedBy: Person;
  readonly requestedAt: string;
  readonly expiresAt: string;
  readonly decidedBy: Person | null;
  readonly decidedAt: string | null;
  readonly reason: string | null;
}

export interface NewFunding {
  readonly id: string;
  readonly movementId: string;
  readonly accountNumber: number;
  readonly direction: FundingDirection;
  readonly amount: number;
}

export class FundingStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Adds it unless there is one of that id. Null: as many as allowed wait. */
  async request(operator: Acting<Operator>, funding: NewFunding): Promise<Funding | null> {
    const { id, movementId, accountNumber, direction, amount } = funding;
    await this.#database.write(
      operator,
      'fundings.request',
      (sql, { enter, admitted }) => sql`
        with ${enter}
        insert into fundings (public_id, account_id, direction, amount, movement_id, requested_by, expires_at)
        select ${id}, ${accountNumber}, ${direction}, ${amount}, ${movementId}, ${operator.operatorId},
          now() + make_interval(hours => ${fundingHours})
        where ${admitted} and (select count(*) from fundings where status = 'pending') < ${pendingMax}
        on conflict (public_id) do nothing`,
    );
    return this.find(id);
  }

  async find(id: string): Promise<Funding | null> {
    const [row] = await this.#database.run(
      'fundings.find',
      (sql) => sql<Funding[]>`select ${columns(sql)} from fundings f ${joins(sql)} where f.public_id = ${id}`,
    );
    return row ?? null;
  }

  /** Newest first, one more than `limit`. */
  list(
    { status, account }: { readonly status?: FundingStatus | undefined; readonly account?: string | undefined },
    before: number,
    limit: number,
  ): Promise<readonly Funding[]> {
    return this.#database.run(
      'fundings.list',
      (sql) => sql<Funding[]>`
        select ${columns(sql)} from fundings f ${joins(sql)}
        where f.id < ${before} ${status === undefined ? sql`` : sql`and ${statusNow(sql)} = ${status}`}
          ${account === undefined ? sql`` : sql`and a.public_id = ${account}`}
        order by f.id desc limit ${limit + 1}`,
    );
  }

  /** Decides a pending one, in the name of an operator who did not ask for it. @returns whether it was decided now */
  async decide(
    operator: Acting<Operator>,
    id: string,
    status: 'approved' | 'rejected',
    reason: string | null,
  ): Promise<boolean> {
    const rows = await this.#database.write(
      operator,
      'fundings.decide',
      (sql, { enter, admitted }) => sql`
        with ${enter}
        update fundings set status = ${status}, decided_by = ${operator.operatorId}, decided_at = now(),
          reason = ${reason}
        where public_id = ${id} and status = 'pending' and expires_at > now()
          and requested_by <> ${operator.operatorId} and ${admitted}
        returning id`,
    );
    return rows.length > 0;
  }

  /** Decided so long ago, and without an outcome, by their numbers. @param after the number before the first */
  approved(decidedMsMin: number, after: number, limit: number): Promise<readonly Funding[]> {
    return this.#database.run(
      'fundings.approved',
      (sql) => sql<Funding[]>`
        select ${columns(sql)} from fundings f ${joins(sql)}
        where f.status = 'approved' and f.decided_at <= now() - make_interval(secs => ${decidedMsMin / 1000})
          and f.id > ${after}
        order by f.id limit ${limit}`,
    );
  }

  /**
   * What the engine answered, with its entry in the audit trail: both or neither. The operator may have lost the right
   * meanwhile, and the money has moved all the same. A crash before this leaves the funding `approved`; the next
   * approval completes it, or a sweep (background/approved-fundings.ts).
   * @param by who asked the engine
   * @param reason of the ledger
   * @returns false: it was completed meanwhile
   */
  async complete(
    by: Acting<Operator> | System,
    funding: Pick<Funding, 'id' | 'direction' | 'accountId' | 'amount' | 'currency' | 'movementId'>,
    status: 'done' | 'refused',
    reason: string,
  ): Promise<boolean> {
    const { id, direction, accountId, movementId, amount, currency } = funding;
    const after = { id: movementId, amount, currency, funding: id, reason };
    const rows = await this.#database.write(
      system('funding'),
      'fundings.complete',
      (sql, { enter, admitted }) => sql`
        with ${enter}, completed as (
          update fundings set status = ${status}, reason = ${status === 'done' ? null : reason}
          where public_id = ${id} and status = 'approved' and ${admitted}
          returning id
        )
        select audit_append(${contextOf(sql, by)}, ${`account.${direction}`}, 'account', ${accountId}, null,
          ${sql.json(after)}::jsonb, ${status})
        from completed`,
    );
    return rows.length > 0;
  }

  /** Ends those that no other operator decided in time. @returns how many */
  async sweep(): Promise<number> {
    const rows = await this.#database.write(
      system('housekeeping'),
      'fundings.expire',
      (sql, { enter, admitted }) => sql`
        with ${enter}
        update fundings set status = 'expired' where ${admitted} and id in (
          select id from fundings where status = 'pending' and expires_at <= now() limit ${sweepRowsMax}
          for update skip locked)
        returning id`,
    );
    return rows.length;
  }
}

/** One that lapsed is expired at once, swept or not. */
function statusNow(sql: Sql) {
  return sql`case when f.status = 'pending' and f.expires_at <= now() then 'expired' else f.status end`;
}

function columns(sql: Sql) {
  return sql`f.id as number, f.public_id as id, a.public_id as "accountId", f.direction, f.amount, a.currency,
    f.movement_id as "movementId", ${statusNow(sql)} as status,
    jsonb_build_object('id', r.public_id, 'name', r.name) as "requestedBy", f.requested_at as "requestedAt",
    f.expires_at as "expiresAt",
    case when d.id is not null then jsonb_build_object('id', d.public_id, 'name', d.name) end as "decidedBy",
    f.decided_at as "decidedAt", f.reason`;
}

function joins(sql: Sql) {
  return sql`join accounts a on a.id = f.account_id join operators r on r.id = f.requested_by
    left join operators d on d.id = f.decided_by`;
}
