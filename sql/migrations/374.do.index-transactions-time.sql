-- In place of that of 308: see 372. New rows come at the end, where an insert needs no search and pages stay full.
-- In descending order they came at the beginning.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transactions_time ON transactions (created_at);
