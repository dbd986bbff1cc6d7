/** The smallest partition that decides: one account, one user, one card, nothing spent. */
import type { PartitionRows } from '../../engine/core/partition-rows.js';
import type { PartitionSize } from '../../engine/exchange/partition-task.js';

export const tinySize: PartitionSize = {
  accounts: 16,
  users: 16,
  cards: 16,
  spendRows: 64,
  transactions: 16,
  seenIds: 16,
};

/** @param fundsMinor of its account, in cents */
export function oneCard(token: string, fundsMinor: number): PartitionRows {
  const common = { number: 1, version: 1, status: 0, limits: null } as const;
  return {
    accounts: [
      { ...common, currency: 'USD', timeZone: 'UTC', partialApproval: false, funds: fundsMinor, held: 0, posted: 0 },
    ],
    users: [common],
    cards: [{ ...common, token, expiresDay: 1_000_000, accountNumber: 1, userNumber: 1 }],
  };
}
