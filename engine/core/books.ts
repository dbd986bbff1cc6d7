/** The owned state of one partition, in the words of the core. */
import type { Accounts } from './accounts.js';
import type { Spend } from './spend.js';
import type { Transactions } from './transactions.js';
import type { Users } from './users.js';

/** The owned state of one partition. */
export interface Books {
  readonly accounts: Accounts;
  readonly users: Users;
  readonly spend: Spend;
  readonly transactions: Transactions;
}

/** No transaction in memory or in the books. */
export const transactionAbsent = -1;
