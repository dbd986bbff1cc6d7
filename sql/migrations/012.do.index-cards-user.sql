-- Active cards of a user.
CREATE INDEX CONCURRENTLY IF NOT EXISTS cards_user_active ON cards (user_id, status) WHERE status = 'active';
