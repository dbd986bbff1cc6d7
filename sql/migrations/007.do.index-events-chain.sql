-- Follow-ups of a chain; the opening message is found by its request id, which is the chain's id.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transaction_events_chain ON transaction_events (transaction_id) WHERE transaction_id <> request_id;
