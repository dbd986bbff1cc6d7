/**
 * What a writer shows with every statement that changes the ledger: the epoch of its lease. Once another engine has
 * taken the lease no row of writer_epochs matches it, and the statement changes nothing.
 */
export interface WriterFence {
  /** The row of writer_epochs: `ledgerScope`, or that of a partition (partitionScope). */
  readonly scope: string;
  readonly epoch: number;
  /**
   * Two epochs of one number can exist where a database lost its newest rows in a failover: the holder distinguishes
   * them.
   */
  readonly holder: string;
}

/** JOURNAL=local: one engine writes every partition. */
export const ledgerScope = 'ledger';

/** JOURNAL=postgres: each partition has a writer of its own. */
export function partitionScope(partition: number): string {
  return `partition ${partition}`;
}
