-- People whose name begins so, in any case (api/stores/folded.ts).
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_name ON users (lower(name COLLATE folding) text_pattern_ops);
