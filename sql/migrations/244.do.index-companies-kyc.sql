CREATE INDEX CONCURRENTLY IF NOT EXISTS companies_kyc ON companies (kyc_status, created_at, public_id);
