-- See 190. Dropping takes the table for an instant only.
DROP INDEX IF EXISTS transactions_holds;
