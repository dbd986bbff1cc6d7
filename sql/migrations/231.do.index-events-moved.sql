-- What moved an account's money, newest first: entries of an account.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transaction_events_moved ON transaction_events (account_id, at DESC, sequence) WHERE posted_delta <> 0 OR external_delta <> 0;
