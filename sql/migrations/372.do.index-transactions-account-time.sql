-- In place of that of 061. The id only decides between transactions of the same instant: those are sorted when they are
-- read. Without it an entry takes half the room, in the index and in PostgreSQL's log.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transactions_account_time ON transactions (account_id, created_at);
