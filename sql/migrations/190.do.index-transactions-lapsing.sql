-- Pending transactions of a partition by the instant at which they close, holds or not (1 = pending). Replaces 011.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transactions_lapsing ON transactions (partition, expires_at) WHERE status = 1;
