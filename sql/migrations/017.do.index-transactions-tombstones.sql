-- Reversals that came before their authorization (type 3 = reversal opened the chain): read by an engine that starts.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transactions_tombstones ON transactions (partition, created_at) WHERE type = 3;
