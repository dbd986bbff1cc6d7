-- Transactions of an account, newest first: what a company lists.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transactions_account_created ON transactions (account_id, created_at DESC, id DESC);
