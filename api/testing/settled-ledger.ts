/**
 * A settled ledger for tests of reading it: transactions and their messages, written as settle() would, without an
 * engine.
 */
import type postgres from 'postgres';

export interface SettledTransaction {
  readonly id: string;
  /** Number of account, card and user alike: see createTestAccounts. */
  readonly owner: number;
  readonly amount: number;
  /** 1 pending … 5 declined. */
  readonly status: number;
  readonly createdAt: string;
  readonly mcc: number | null;
  readonly spendDay: number;
  /** MessageType of the message that opened it: an authorization unless it is said. */
  readonly type?: number;
  /** `Corner Store` unless it is said. */
  readonly merchant?: string;
}

/** So many held transactions of two owners in turn, one each second. */
export function transactionsOf(name: string, count: number): SettledTransaction[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{ id: `${name}-${index}`, owner: 1 + (index % 2), amount: 100 + index, status: 1, mcc: 5411, spendDay: 20_513 },
    createdAt: new Date(Date.UTC(2026, 2, 1) + index * 1000).toISOString(),
  }));
}

/**
 * Writes transactions of one authorization each, completed ones with a clearing, at the end of partition 0's journal.
 */
export async function settleTransactions(
  sql: postgres.Sql,
  transactions: readonly SettledTransaction[],
): Promise<void> {
  const [row] = await sql<{ last: string }[]>`select coalesce(max(sequence), 0) as last from transaction_events`;
  let sequence = Number(row!.last);
  for (const transaction of transactions) {
    const isHeld = transaction.status === 1;
    const isPosted = transaction.status === 2;
    const approved = transaction.status === 5 ? 0 : transaction.amount;
    await sql`insert into transactions ${sql({
      id: transaction.id,
      account_id: transaction.owner,
      card_id: transaction.owner,
      user_id: transaction.owner,
      amount: transaction.amount,
      approved_amount: approved,
      held_amount: isHeld ? transaction.amount : 0,
      posted_amount: isPosted ? transaction.amount : 0,
      refunded_amount: 0,
      newest_spend_amount: 0,
      created_at: transaction.createdAt,
      updated_at: transaction.createdAt,
      partition: 0,
      spend_day: transaction.spendDay,
      newest_spend_day: transaction.spendDay,
      type: transaction.type ?? 1,
      status: transaction.status,
      reason: transaction.status === 5 ? 3 : 0,
      detail: 0,
      mcc: transaction.mcc,
      channel: 1,
      forced: false,
      currency: 'USD',
      country: 'US',
      merchant_id: 'm-1',
      merchant_name: transaction.merchant ?? 'Corner Store',
    })}`;
    sequence++;
    await addEvent(
      sql,
      transaction,
      sequence,
      transaction.id,
      transaction.type ?? 1,
      approved,
      transaction.status === 5 ? 3 : 0,
    );
    if (isPosted) {
      sequence++;
      await addEvent(sql, transaction, sequence, `${transaction.id}-clearing`, 4, approved, 0);
    }
  }
  await sql`
    insert into journal_positions (partition, partition_count, sequence) values (0, 1, ${sequence})
    on conflict (partition) do update set sequence = excluded.sequence`;
}

/** Posts all that a transaction of settleTransactions() holds, with `count` messages of its amount. */
export async function settleClearing(sql: postgres.Sql, id: string, count = 1): Promise<void> {
  const [row] = await sql<{ owner: string; amount: string; last: string }[]>`
    update transactions set posted_amount = amount, held_amount = 0, status = 2 where id = ${id}
    returning account_id as owner, amount, (select max(sequence) from transaction_events) as last`;
  const transaction = {
    id,
    owner: Number(row!.owner),
    amount: Number(row!.amount),
    createdAt: '2026-04-01T00:00:00.000Z',
  };
  let sequence = Number(row!.last);
  for (let number = 0; number < count; number++) {
    sequence++;
    await addEvent(sql, transaction, sequence, `${id}-clearing-${sequence}`, 4, transaction.amount, 0);
  }
  await sql`update journal_positions set sequence = ${sequence}`;
}

async function addEvent(
  sql: postgres.Sql,
  transaction: Pick<SettledTransaction, 'id' | 'owner' | 'amount' | 'createdAt'>,
  sequence: number,
  requestId: string,
  type: number,
  approved: number,
  reason: number,
): Promise<void> {
  await sql`insert into transaction_events ${sql({
    sequence,
    account_id: transaction.owner,
    card_id: transaction.owner,
    user_id: transaction.owner,
    amount: transaction.amount,
    approved_amount: approved,
    available_delta: 0,
    held_delta: 0,
    posted_delta: 0,
    external_delta: 0,
    at: transaction.createdAt,
    partition: 0,
    type,
    protocol: 1,
    reason,
    detail: 0,
    approved: reason === 0,
    transaction_id: transaction.id,
    request_id: requestId,
    record: Buffer.alloc(0),
  })}`;
}
