-- Completed transactions of a card (2 = completed).
CREATE INDEX CONCURRENTLY IF NOT EXISTS transactions_card_completed ON transactions (card_id, status) WHERE status = 2;
