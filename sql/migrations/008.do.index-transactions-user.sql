-- A user's history, newest first.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transactions_user_created ON transactions (user_id, created_at DESC);
