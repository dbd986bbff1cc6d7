-- Becomes the primary key in 152. The id comes first, because the API looks a transaction up by its id alone.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS transactions_name ON transactions (id, partition, occurrence);
