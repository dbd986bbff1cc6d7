-- 111 and 160 were made side by side: one function that does what both say.
DROP FUNCTION feed_number(integer);

-- Numbers what has been committed, at most `batch` entries, and tells the listeners. @returns the newest number, and
-- whether committed entries are left: once none are, everything committed before the call has a number up to `newest`.
-- With `carry` also the entries that got their numbers here, oldest first, when they are that many at most.
-- Do not call it in a transaction that writes anything else: its commit does not wait for the disk.
CREATE OR REPLACE FUNCTION feed_number(
  batch integer DEFAULT 10000, carry integer DEFAULT 0, OUT newest bigint, OUT more boolean, OUT entries json
)
LANGUAGE plpgsql
-- Always by index: nobody has told the planner yet how few entries have no number when it makes its plans.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  -- Far more than are given in the second that a commit may be late to the disk.
  skipped constant bigint := 10000000;
  fresh bigint[];
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
  IF NOT EXISTS (SELECT FROM feed_run) THEN
    -- This commit does wait: who sees its row sees numbers that nobody has heard before, also after the next crash.
    INSERT INTO feed_run DEFAULT VALUES;
    UPDATE feed_position p SET newest = p.newest + skipped, pruned = p.newest + skipped RETURNING p.newest INTO newest;
    more := true;
    RETURN;
  END IF;
  PERFORM set_config('synchronous_commit', 'off', true);
  fresh := ARRAY(SELECT o.id FROM outbox o WHERE o.sequence IS NULL ORDER BY o.id LIMIT batch);
  IF cardinality(fresh) = 0 THEN
    SELECT p.newest INTO newest FROM feed_position p;
    RETURN;
  END IF;
  WITH given AS (
    UPDATE outbox o SET sequence = p.newest + f.place
    FROM unnest(fresh) WITH ORDINALITY f (id, place), feed_position p WHERE o.id = f.id
    RETURNING o.sequence, o.topic, o.payload, o.created_at
  )
  SELECT
    array_agg(DISTINCT given.topic || 's:' || (given.payload ->> 'ownerKey')) FILTER (WHERE given.topic <> 'user'),
    array_agg(DISTINCT 'card ' || (given.payload ->> 'token')) FILTER (WHERE given.topic = 'card'),
    CASE WHEN cardinality(fresh) <= carry THEN
      json_agg(json_build_object('sequence', given.sequence, 'topic', given.topic, 'payload', given.payload,
        'atMs', extract(epoch from given.created_at) * 1000) ORDER BY given.sequence)
    END
  INTO stale, cards, entries FROM given;
  UPDATE feed_position p SET newest = p.newest + cardinality(fresh) RETURNING p.newest INTO newest;
  PERFORM pg_notify('feed', newest::text);
  -- Names of what the API's processes must not keep, and of what they take out of Redis (api/cache).
  PERFORM pg_notify('cache', name) FROM unnest(stale || cards) name;
  more := cardinality(fresh) = batch;
END
$$;
