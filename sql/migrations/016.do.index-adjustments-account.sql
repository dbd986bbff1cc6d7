-- Money movements of an account.
CREATE INDEX CONCURRENTLY IF NOT EXISTS ledger_adjustments_account ON ledger_adjustments (account_id);
