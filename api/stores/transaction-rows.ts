/** Rows of the settled ledger as the API shows them: names from the engine's own tables instead of numbers. */
import { channelNames, messageTypeNames } from '../../engine/core/codes.js';
import { detailName } from '../../engine/core/limit-names.js';
import { reasonEntry, reasonTable } from '../../engine/core/reasons.js';
import type { Sql } from './postgres.js';
import { type EventTotal, type Transaction, type TransactionEvent, transactionStatuses } from './transactions.js';

export interface TransactionRow {
  readonly transactionId: string;
  readonly cardId: string;
  readonly accountId: string;
  readonly type: number;
  readonly status: number;
  readonly currency: string;
  readonly amount: number;
  readonly approvedAmount: number;
  readonly heldAmount: number;
  readonly postedAmount: number;
  readonly refundedAmount: number;
  readonly reason: number;
  readonly detail: number;
  readonly merchantId: string | null;
  readonly merchantName: string | null;
  readonly mcc: number | null;
  readonly country: string | null;
  readonly channel: number;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/**
 * A sum that no book bounds, as far as JSON can say it exactly. Increments and reversals in turn, or clearings and
 * refunds, add up to more than the account ever had.
 */
function shown(sql: Sql, sum: ReturnType<Sql>) {
  return sql`least(${sum}, ${Number.MAX_SAFE_INTEGER}::bigint)`;
}

/** Columns of TransactionRow: transactions as `t`, cards as `c`, accounts as `a`. */
export function transactionColumns(sql: Sql) {
  return sql`t.id as "transactionId", c.public_id as "cardId", a.public_id as "accountId", t.type, t.status,
    coalesce(t.currency, a.currency) as currency, ${shown(sql, sql`t.amount`)} as amount,
    ${shown(sql, sql`t.approved_amount`)} as "approvedAmount", t.held_amount as "heldAmount",
    t.posted_amount as "postedAmount", ${shown(sql, sql`t.refunded_amount`)} as "refundedAmount", t.reason,
    t.detail, t.merchant_id as "merchantId", t.merchant_name as "merchantName", t.mcc, t.country, t.channel,
    t.created_at as "createdAt", t.updated_at as "updatedAt"`;
}

/**
 * Local day of the account on which a transaction counts as spent: transactions as `t`, accounts as `a`. A refund
 * without an original touches no spend window, so the engine gives it no day; it counts on the day it came.
 */
export function spendDayColumn(sql: Sql) {
  return sql`case when t.spend_day <> 0 then t.spend_day
    else (t.created_at at time zone a.time_zone)::date - date '1970-01-01' end`;
}

/** Number of a public status, as in `transactions.status`: 1 pending … 5 declined. */
export function statusNumber(status: Transaction['status']): number {
  return transactionStatuses.indexOf(status) + 1;
}

/** As in `transactions.reason`; −1, which no transaction has, for a name that is none. */
export function reasonNumber(name: string): number {
  return reasonTable.findIndex((entry) => entry.name === name);
}

/** Names of all reasons, `approved` first. */
export const reasonNames: readonly string[] = reasonTable.map(({ name }) => name);

export function transactionOf(row: TransactionRow): Transaction {
  const { merchantId, merchantName, mcc, country, ...rest } = row;
  return {
    ...rest,
    type: messageTypeNames[row.type] ?? 'unknown',
    status: transactionStatuses[row.status - 1] ?? 'pending',
    reason: reasonEntry(row.reason).name,
    detail: detailName(row.detail) || null,
    merchant: { id: merchantId, name: merchantName, mcc: mcc === null ? null : mccText(mcc), country },
    channel: channelNames[row.channel] || null,
  };
}

/** The database keeps the number: 742 is MCC 0742. */
export function mccText(mcc: number): string {
  return String(mcc).padStart(4, '0');
}

export interface EventRow {
  readonly type: number;
  readonly amount: number | null;
  readonly approvedAmount: number;
  readonly approved: boolean;
  readonly reason: number;
  readonly at: string;
  readonly requestId: string;
}

/** Columns of EventRow: transaction_events as `e`. */
export function eventColumns(sql: Sql) {
  return sql`e.type, e.amount, e.approved_amount as "approvedAmount", e.approved, e.reason, e.at,
    e.request_id as "requestId"`;
}

export function eventOf({ type, reason, ...rest }: EventRow): TransactionEvent {
  return { ...rest, type: messageTypeNames[type] ?? 'unknown', reason: reasonEntry(reason).name };
}

export interface TotalRow {
  readonly type: number;
  readonly count: number;
  readonly approvedAmount: number;
}

/** Columns of TotalRow: transaction_events as `e`, grouped by type. */
export function totalColumns(sql: Sql) {
  return sql`e.type, count(*) as count,
    least(coalesce(sum(e.approved_amount) filter (where e.approved), 0), ${Number.MAX_SAFE_INTEGER}::bigint)::bigint
      as "approvedAmount"`;
}

export function totalOf({ type, ...rest }: TotalRow): EventTotal {
  return { type: messageTypeNames[type] ?? 'unknown', ...rest };
}
