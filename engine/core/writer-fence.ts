/**
 * What a writer shows with every statement that changes the ledger: the epoch of its lease. Once another engine has
 * taken the lease no row of writer_epochs matches it, and the statement changes nothing.
 */
export interface WriterFence {
  readonly epoch: number;
  /**
   * Two epochs of one number can exist where a database lost its newest rows in a failover: the holder distinguishes
   * them.
   */
  readonly holder: string;
}
