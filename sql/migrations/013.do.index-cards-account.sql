-- Cards of an account.
CREATE INDEX CONCURRENTLY IF NOT EXISTS cards_account ON cards (account_id);
