-- Since the engine moves money in and out itself, these words of 003 are no longer the whole truth.
COMMENT ON TABLE ledger_adjustments IS
  'Opening balances of accounts made in the database. Deposits and withdrawals are rows of transaction_events '
  '(type 11 and 12), settled from the engine''s journal.';
COMMENT ON COLUMN transaction_events.transaction_id IS
  'The chain that the message belongs to; its own request_id when it stands alone. Deposits and withdrawals stand alone '
  'and have no row in transactions.';
COMMENT ON COLUMN transaction_events.request_id IS
  'As the sender wrote it; of deposits and withdrawals behind E''\x01ledger:'', a namespace that no card message can use.';
