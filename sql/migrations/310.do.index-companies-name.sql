-- Companies whose name begins so, in any case (api/stores/folded.ts).
CREATE INDEX CONCURRENTLY IF NOT EXISTS companies_name ON companies (lower(name COLLATE folding) text_pattern_ops);
