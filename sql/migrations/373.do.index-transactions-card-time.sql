-- In place of those of 062, of 008 (a user's transactions are those of the user's cards) and of 009. See 372.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transactions_card_time ON transactions (card_id, created_at);
