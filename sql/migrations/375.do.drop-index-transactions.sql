-- See 372 to 374; no query uses that of 010. Dropping takes the table for an instant only.
DROP INDEX IF EXISTS transactions_account_created, transactions_card_created, transactions_created,
  transactions_user_created, transactions_card_completed, transactions_pending;
