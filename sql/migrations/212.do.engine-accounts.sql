CREATE INDEX quarantined_records_unkept ON quarantined_records (account_id) WHERE NOT books_kept;

-- Accounts as the engine loads them. Where even an account's row refused what a quarantined record moved, the engine must
-- count it all the same: the approval was given, and its money would be spent again after a restart.
CREATE VIEW engine_accounts AS
SELECT a.id, a.public_id, a.owner_key, a.version, a.status, a.currency, a.time_zone, a.partial_approval,
  a.funds + q.funds AS funds, a.held + q.held AS held, a.posted + q.posted AS posted,
  a.available + q.funds - q.held - q.posted AS available
FROM accounts AS a
CROSS JOIN LATERAL (
  SELECT coalesce(sum(funds_delta), 0)::bigint AS funds, coalesce(sum(held_delta), 0)::bigint AS held,
    coalesce(sum(posted_delta), 0)::bigint AS posted
  FROM quarantined_records WHERE account_id = a.id AND NOT books_kept
) AS q;
