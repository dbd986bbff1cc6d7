-- Who numbers changes also says which cards they are about: their profiles are cached for the engines, by token. The rest is
-- that of 110.
CREATE OR REPLACE FUNCTION feed_number(batch integer DEFAULT 10000, OUT newest bigint, OUT more boolean)
LANGUAGE plpgsql AS $$
DECLARE
  numbered bigint;
  stale text[];
  cards text[];
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
    RETURNING o.topic, o.payload ->> 'ownerKey' AS owner_key, o.payload ->> 'token' AS token
  )
  SELECT count(*), array_agg(DISTINCT given.topic || 's:' || given.owner_key) FILTER (WHERE given.topic <> 'user'),
    array_agg(DISTINCT 'card ' || given.token) FILTER (WHERE given.topic = 'card')
  INTO numbered, stale, cards FROM given;
  UPDATE feed_position p SET newest = p.newest + numbered RETURNING p.newest INTO newest;
  IF numbered > 0 THEN
    PERFORM pg_notify('feed', newest::text);
    -- Names of what the API's processes must not keep, and of what they take out of Redis (api/cache).
    PERFORM pg_notify('cache', name) FROM unnest(stale || cards) name;
  END IF;
  more := numbered = batch;
END
$$;
