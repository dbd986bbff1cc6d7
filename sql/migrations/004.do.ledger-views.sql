-- Open holds.
CREATE VIEW holds AS
SELECT id, account_id, card_id, user_id, partition, currency, held_amount, expires_at, created_at, updated_at
FROM transactions
WHERE held_amount > 0;

-- Double entry: one row per leg. Legs of one posting sum to zero.
CREATE VIEW postings AS
SELECT 'event' AS source, e.partition, e.sequence, e.transaction_id, e.account_id, leg.ledger, leg.amount, e.at
FROM transaction_events e
CROSS JOIN LATERAL (
  VALUES
    ('available', e.available_delta),
    ('held', e.held_delta),
    ('posted', e.posted_delta),
    ('external', e.external_delta)
) AS leg (ledger, amount)
WHERE leg.amount <> 0
UNION ALL
SELECT 'adjustment', NULL, a.id, a.public_id, a.account_id, leg.ledger, leg.amount, a.created_at
FROM ledger_adjustments a
CROSS JOIN LATERAL (VALUES ('available', a.available_delta), ('external', a.external_delta)) AS leg (ledger, amount)
WHERE leg.amount <> 0;

-- The whole chain of an authorization, oldest first. Written so that both indexes on transaction_events serve it.
CREATE FUNCTION transaction_history(chain_id text) RETURNS SETOF transaction_events
LANGUAGE sql STABLE AS $$
  SELECT * FROM (
    SELECT * FROM transaction_events WHERE request_id = chain_id AND transaction_id = chain_id
    UNION ALL
    SELECT * FROM transaction_events WHERE transaction_id = chain_id AND transaction_id <> request_id
  ) AS chain
  ORDER BY partition, sequence
$$;
