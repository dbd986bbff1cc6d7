-- Finds a repeated request id. Hash: equality is all it needs, and an entry costs 8 bytes however long the id.
CREATE INDEX CONCURRENTLY IF NOT EXISTS transaction_events_request ON transaction_events USING hash (request_id);
