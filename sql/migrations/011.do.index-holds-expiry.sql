-- Open holds by the instant they lapse.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transactions_holds ON transactions (expires_at) WHERE held_amount > 0;
