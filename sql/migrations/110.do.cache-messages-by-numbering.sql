-- A transaction that notifies holds one lock of the whole server until it is on disk: with NOTIFY in the triggers of 066
-- changes were committed one by one, a sync each, and 700 a second was all that a disk allowed. Who numbers what was
-- committed tells the API's processes now, once for many: whoever waits for a change numbers it at once, the relay within
-- 50 ms.
DROP TRIGGER cache ON cards;
DROP TRIGGER cache ON accounts;
DROP FUNCTION cache_card();
DROP FUNCTION cache_account();

-- Numbers what has been committed, at most `batch` entries, and tells the listeners. @returns the newest number, and
-- whether committed entries are left: once none are, everything committed before the call has a number up to `newest`.
CREATE OR REPLACE FUNCTION feed_number(batch integer DEFAULT 10000, OUT newest bigint, OUT more boolean)
LANGUAGE plpgsql AS $$
DECLARE
  numbered bigint;
  stale text[];
BEGIN
  more := false;
  IF NOT EXISTS (SELECT FROM outbox WHERE sequence IS NULL) THEN
    SELECT p.newest INTO newest FROM feed_position p;
    RETURN;
  END IF;
  -- 'feed' in ASCII. One at a time: the next one's statements see what this one has numbered, for the lock is given up
  -- after the commit. Whoever sees a number sees all below it.
  PERFORM pg_advisory_xact_lock(1717921124);
  WITH fresh AS (
    SELECT o.id, row_number() OVER (ORDER BY o.id) AS place FROM outbox o WHERE o.sequence IS NULL ORDER BY o.id LIMIT batch
  ), given AS (
    UPDATE outbox o SET sequence = p.newest + fresh.place
    FROM fresh, feed_position p WHERE o.id = fresh.id
    RETURNING o.topic, o.payload ->> 'ownerKey' AS owner_key
  )
  SELECT count(*), array_agg(DISTINCT given.topic || 's:' || given.owner_key) FILTER (WHERE given.topic <> 'user')
  INTO numbered, stale FROM given;
  UPDATE feed_position p SET newest = p.newest + numbered RETURNING p.newest INTO newest;
  IF numbered > 0 THEN
    PERFORM pg_notify('feed', newest::text);
    -- Names of what the API's processes must not keep (api/cache).
    PERFORM pg_notify('cache', name) FROM unnest(stale) name;
  END IF;
  more := numbered = batch;
END
$$;
