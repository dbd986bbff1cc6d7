/** The accounts of `make seed`, in the database of a benchmark. */
import postgres from 'postgres';
import { seedAccounts } from '../deploy/seed-accounts.js';

export interface AccountsOptions {
  readonly databaseUrl: string;
  /** Accounts 1 … `count` exist afterwards; those that are there already stay as they are. */
  readonly count: number;
  /** Default: 1. */
  readonly cardsPerAccount?: number;
  readonly balanceMinor: number;
  /** Accounts done so far, of `count`. */
  readonly onProgress?: (doneCount: number) => void;
}

export async function ensureAccounts(options: AccountsOptions): Promise<void> {
  const sql = postgres(options.databaseUrl, { max: 1, connect_timeout: 10, onnotice: () => undefined });
  try {
    await seedAccounts(sql, {
      accounts: options.count,
      cardsPerAccount: options.cardsPerAccount ?? 1,
      balanceMinor: options.balanceMinor,
      onProgress: (done) => options.onProgress?.(done),
    });
  } finally {
    await sql.end({ timeout: 5 });
  }
}
