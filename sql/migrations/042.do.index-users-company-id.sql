-- A company's people, in the order they joined.
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_company_id ON users (company_id, id) WHERE company_id IS NOT NULL;
