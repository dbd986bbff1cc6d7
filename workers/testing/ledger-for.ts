/** A ledger for tests of settling: a migrated database with accounts 1 … n, partition 0 open at 0. */
import type postgres from 'postgres';
import type { Test } from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { createTestAccounts } from '../../deploy/testing/test-accounts.js';
import { openSettleConnection } from '../settle/settle.js';
import { openFirstPosition } from './open-position.js';

/** @returns the shipper's kind of connection, which ends with the test */
export async function ledgerFor(
  t: Pick<Test, 'teardown'>,
  accounts = 3,
  fundsMinor = 1000,
): Promise<{ readonly sql: postgres.Sql; readonly url: string }> {
  const { url } = await databaseFor(t);
  const sql = openSettleConnection(url);
  t.teardown(() => sql.end({ timeout: 5 }));
  await createTestAccounts(sql, accounts, fundsMinor);
  await openFirstPosition(sql);
  return { sql, url };
}

/** Funds, available, held and posted of an account. */
export async function booksOf(sql: postgres.Sql, account = 1): Promise<number[]> {
  const [row] = await sql`select funds, available, held, posted from accounts where id = ${account}`;
  return Object.values(row ?? {}).map(Number);
}
