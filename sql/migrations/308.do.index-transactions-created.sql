-- Transactions of all customers, newest first: what operators search. Rows come in this order, so that an insert finds
-- its page in memory.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transactions_created ON transactions (created_at DESC, id DESC);
