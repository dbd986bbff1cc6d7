-- Cards of a cardholder, newest first, whatever their status.
CREATE INDEX CONCURRENTLY IF NOT EXISTS cards_user_created ON cards (user_id, created_at DESC, public_id DESC);
