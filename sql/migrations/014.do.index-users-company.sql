-- People of a company by role.
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_company_role ON users (company_id, role);
