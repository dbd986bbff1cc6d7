-- Adjustments of an account, newest first.
CREATE INDEX CONCURRENTLY IF NOT EXISTS ledger_adjustments_account_created ON ledger_adjustments (account_id, created_at DESC, id);
