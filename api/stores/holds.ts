/** Open holds as they are settled, whosever they are: for operators, and for what new limits would mean to them. */
import { channelNames } from '../../engine/core/codes.js';
import type { By } from './acting.js';
import type { Database, Sql } from './postgres.js';

export interface Hold {
  readonly transactionId: string;
  readonly currency: string;
  readonly amount: number;
  readonly heldAmount: number;
  readonly merchantId: string | null;
  readonly merchantName: string | null;
  /** Four digits. */
  readonly mcc: string | null;
  readonly country: string | null;
  readonly channel: string | null;
}

/** A transaction as a release finds it. */
export interface HeldTransaction {
  readonly transactionId: string;
  readonly cardToken: string;
  readonly heldAmount: number;
  readonly currency: string;
}

/** A hold lives for weeks: holds behind so many newer transactions of one card, user or account are rare. */
export const holdsLookedAt = 10_000;

export class Holds {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The newest transaction of that id. @param ids the forms in which it may be kept */
  async find(ids: readonly string[]): Promise<HeldTransaction | null> {
    const [row] = await this.#database.run(
      'holds.find',
      (sql) => sql<HeldTransaction[]>`
        select t.id as "transactionId", c.token as "cardToken", t.held_amount as "heldAmount",
          coalesce(t.currency, a.currency) as currency
        from transactions t join accounts a on a.id = t.account_id join cards c on c.id = t.card_id
        where t.id in ${sql(ids)} and t.status <> 5 order by t.created_at desc limit 1`,
    );
    return row ?? null;
  }

  /**
   * Open holds among the newest transactions of a card, user or account, newest first; checks the actor as of now.
   */
  async open(by: By, level: 'card' | 'user' | 'account', number: number): Promise<readonly Hold[]> {
    const rows = await this.#database.write(
      by,
      'holds.open',
      (sql, { enter, admitted }) => sql<(Omit<Hold, 'mcc' | 'channel'> & { mcc: number | null; channel: number })[]>`
        with ${enter}, looked as materialized (
          select t.* from ${walkers(sql, level, number)} w cross join lateral (
            select * from transactions t where ${level === 'account' ? sql`t.account_id` : sql`t.card_id`} = w.id
            order by t.created_at desc limit ${holdsLookedAt}
          ) t where ${admitted} order by t.created_at desc limit ${holdsLookedAt}
        )
        select t.id as "transactionId", coalesce(t.currency, a.currency) as currency, t.approved_amount as amount,
          t.held_amount as "heldAmount", t.merchant_id as "merchantId", t.merchant_name as "merchantName", t.mcc,
          t.country, t.channel
        from looked t join accounts a on a.id = t.account_id where t.held_amount > 0 order by t.created_at desc`,
    );
    return rows.map(({ mcc, channel, ...hold }) => ({
      ...hold,
      mcc: mcc === null || mcc < 0 ? null : String(mcc).padStart(4, '0'),
      channel: channelNames[channel] || null,
    }));
  }
}

/** A user's transactions are those of the user's cards: a card never changes its user. */
function walkers(sql: Sql, level: 'card' | 'user' | 'account', number: number) {
  return level === 'user'
    ? sql`(select id from cards where user_id = ${number})`
    : sql`(select ${number}::bigint as id)`;
}
