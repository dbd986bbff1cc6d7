-- Pending transactions by age (1 = pending).
CREATE INDEX CONCURRENTLY IF NOT EXISTS transactions_pending ON transactions (created_at) WHERE status = 1;
