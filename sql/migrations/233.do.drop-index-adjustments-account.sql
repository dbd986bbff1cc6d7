-- The index of 016 is the beginning of that of 232. Dropping takes the table for an instant only.
DROP INDEX IF EXISTS ledger_adjustments_account;
