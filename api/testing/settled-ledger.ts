/** A settled ledger for tests of reading it: chains and their messages, written as settle() would, without an engine. */
import type postgres from 'postgres';

export interface SettledChain {
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

/** Writes chains of one authorization each, completed ones with a clearing, at the end of partition 0's journal. */
export async function settleChains(sql: postgres.Sql, chains: readonly SettledChain[]): Promise<void> {
  const [row] = await sql<{ last: string }[]>`select coalesce(max(sequence), 0) as last from transaction_events`;
  let sequence = Number(row!.last);
  for (const chain of chains) {
    const isHeld = chain.status === 1;
    const isPosted = chain.status === 2;
    const approved = chain.status === 5 ? 0 : chain.amount;
    await sql`insert into transactions ${sql({
      id: chain.id,
      account_id: chain.owner,
      card_id: chain.owner,
      user_id: chain.owner,
      amount: chain.amount,
      approved_amount: approved,
      held_amount: isHeld ? chain.amount : 0,
      posted_amount: isPosted ? chain.amount : 0,
      refunded_amount: 0,
      newest_spend_amount: 0,
      created_at: chain.createdAt,
      updated_at: chain.createdAt,
      partition: 0,
      spend_day: chain.spendDay,
      newest_spend_day: chain.spendDay,
      type: chain.type ?? 1,
      status: chain.status,
      reason: chain.status === 5 ? 3 : 0,
      detail: 0,
      mcc: chain.mcc,
      channel: 1,
      forced: false,
      currency: 'USD',
      country: 'US',
      merchant_id: 'm-1',
      merchant_name: chain.merchant ?? 'Corner Store',
    })}`;
    sequence++;
    await addEvent(sql, chain, sequence, chain.id, chain.type ?? 1, approved, chain.status === 5 ? 3 : 0);
    if (isPosted) {
      sequence++;
      await addEvent(sql, chain, sequence, `${chain.id}-clearing`, 4, approved, 0);
    }
  }
  await sql`
    insert into journal_positions (partition, partition_count, sequence) values (0, 1, ${sequence})
    on conflict (partition) do update set sequence = excluded.sequence`;
}

/** Posts all that a chain of settleChains() holds, with `count` messages of its amount. */
export async function settleClearing(sql: postgres.Sql, id: string, count = 1): Promise<void> {
  const [row] = await sql<{ owner: string; amount: string; last: string }[]>`
    update transactions set posted_amount = amount, held_amount = 0, status = 2 where id = ${id}
    returning account_id as owner, amount, (select max(sequence) from transaction_events) as last`;
  const chain = { id, owner: Number(row!.owner), amount: Number(row!.amount), createdAt: '2026-04-01T00:00:00.000Z' };
  let sequence = Number(row!.last);
  for (let number = 0; number < count; number++) {
    sequence++;
    await addEvent(sql, chain, sequence, `${id}-clearing-${sequence}`, 4, chain.amount, 0);
  }
  await sql`update journal_positions set sequence = ${sequence}`;
}

async function addEvent(
  sql: postgres.Sql,
  chain: Pick<SettledChain, 'id' | 'owner' | 'amount' | 'createdAt'>,
  sequence: number,
  requestId: string,
  type: number,
  approved: number,
  reason: number,
): Promise<void> {
  await sql`insert into transaction_events ${sql({
    sequence,
    account_id: chain.owner,
    card_id: chain.owner,
    user_id: chain.owner,
    amount: chain.amount,
    approved_amount: approved,
    available_delta: 0,
    held_delta: 0,
    posted_delta: 0,
    external_delta: 0,
    at: chain.createdAt,
    partition: 0,
    type,
    protocol: 1,
    reason,
    detail: 0,
    approved: reason === 0,
    transaction_id: chain.id,
    request_id: requestId,
    record: Buffer.alloc(0),
  })}`;
}
