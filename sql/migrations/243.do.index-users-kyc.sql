CREATE INDEX CONCURRENTLY IF NOT EXISTS users_kyc ON users (kyc_status, created_at, public_id) WHERE company_id IS NULL;
