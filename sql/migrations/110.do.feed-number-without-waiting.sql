-- A transaction that notifies holds one lock of the whole server until it is on disk: with NOTIFY in the triggers of 066
-- changes were committed one by one, a sync each, and 700 a second was all that a disk allowed. Who numbers what was
-- committed tells the API's processes now, once for many: whoever waits for a change numbers it at once, the relay within
-- 50 ms.
DROP TRIGGER cache ON cards;
DROP TRIGGER cache ON accounts;
DROP FUNCTION cache_card();
DROP FUNCTION cache_account();

-- Numbers are given without waiting for the disk: who waits for a change waits for its own commit only, and not for that
-- of the number as well. A crash of Postgres may forget numbers, then, that engines have heard, and the same numbers must
-- not be given to other changes. So the first who numbers after a crash skips more than can have been lost, and says that
-- what was skipped is gone: engines read a snapshot.

-- Emptied by recovery, which is what it is for: by a crash, and when a standby takes over. Whoever finds it empty skips.
CREATE UNLOGGED TABLE feed_run (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
INSERT INTO feed_run DEFAULT VALUES;

DROP FUNCTION feed_confirm_live(text[], bigint[], bigint[]);
DROP FUNCTION feed_confirm(text[], bigint[], bigint[]);
DROP FUNCTION feed_number(integer);

-- Numbers what has been committed, at most `batch` entries, and tells the listeners. @returns the newest number, and
-- whether committed entries are left: once none are, everything committed before the call has a number up to `newest`.
-- With `carry` also the entries that got their numbers here, oldest first, when they are that many at most.
-- Do not call it in a transaction that writes anything else: its commit does not wait for the disk.
CREATE FUNCTION feed_number(
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

-- For whoever waits until changes are in force, in one question, for it is asked for every change: whether rows have those
-- versions (or newer), then numbers what is committed, then the engines that have to obey. A change found present has a
-- number up to `newest`, unless `more` says that some are left. The engines are read by a statement of their own after
-- the numbers were given. An engine that registers meanwhile, and is not seen here, reads its newest number after its
-- registration: it sees our entries unnumbered, waits for our lock, and reads a number that has them.
CREATE FUNCTION feed_confirm_live(
  topics text[], keys bigint[], versions bigint[], carry integer DEFAULT 0,
  OUT newest bigint, OUT more boolean, OUT present boolean[], OUT engines json, OUT entries json
)
LANGUAGE plpgsql AS $$
BEGIN
  present := ARRAY(
    SELECT coalesce(CASE asked.topic
      WHEN 'card' THEN (SELECT t.version >= asked.version FROM cards t WHERE t.id = asked.key)
      WHEN 'user' THEN (SELECT t.version >= asked.version FROM users t WHERE t.id = asked.key)
      WHEN 'account' THEN (SELECT t.version >= asked.version FROM accounts t WHERE t.id = asked.key)
    END, false)
    FROM unnest(topics, keys, versions) WITH ORDINALITY AS asked (topic, key, version, place)
    ORDER BY asked.place
  );
  SELECT n.newest, n.more, n.entries INTO newest, more, entries FROM feed_number(carry => carry) n;
  SELECT coalesce(json_agg(json_build_object('id', e.id, 'applied', e.applied)), '[]') INTO engines
  FROM feed_engines_live e;
END
$$;
