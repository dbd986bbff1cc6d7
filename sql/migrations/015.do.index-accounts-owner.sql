-- Accounts of an owner; also what decides the partition.
CREATE INDEX CONCURRENTLY IF NOT EXISTS accounts_owner_key ON accounts (owner_key);
