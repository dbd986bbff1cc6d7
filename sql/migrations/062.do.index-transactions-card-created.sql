-- Transactions of a card, newest first.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transactions_card_created ON transactions (card_id, created_at DESC, id DESC);
