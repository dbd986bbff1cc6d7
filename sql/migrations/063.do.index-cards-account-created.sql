-- Cards of an account, newest first: what a company lists.
CREATE INDEX CONCURRENTLY IF NOT EXISTS cards_account_created ON cards (account_id, created_at DESC, public_id DESC);
