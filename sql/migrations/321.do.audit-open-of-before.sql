-- Entries of before audit_open that have no outcome: the sweep completes them too. A migration of its own, so that no
-- writer of the trail waits for this search.
INSERT INTO audit_open (id, at, request_id, action, object_kind, object_id, key, before, after)
WITH entries AS (
  SELECT id, at, request_id, action, object_kind, object_id, coalesce(after ->> 'id', request_id) AS key, before, after,
    outcome
  FROM (
    SELECT id, at, request_id, action, object_kind, object_id, before, after, outcome FROM audit_fresh
    UNION ALL
    SELECT id, at, request_id, action, object_kind, object_id, before, after, outcome FROM audit_trail
  ) both_tables
  WHERE action IN ('account.deposit', 'account.withdrawal', 'transaction.release', 'quarantine.retry')
)
SELECT id, at, request_id, action, object_kind, object_id, key, before, after FROM entries asked
WHERE outcome = 'asked' AND object_id IS NOT NULL AND key IS NOT NULL AND NOT EXISTS (
  SELECT FROM entries o WHERE o.outcome <> 'asked' AND o.action = asked.action AND o.object_id = asked.object_id
    AND o.key = asked.key
)
ON CONFLICT (id) DO NOTHING;
