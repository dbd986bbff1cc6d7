-- Everything that carries changes is bounded by bytes, and no row of one tenant can stop the feed for the others.

-- The account API takes 64 KiB of compact JSON (limitsBytesMax); jsonb writes a space behind each comma and colon.
ALTER TABLE limits ADD CONSTRAINT limits_bytes CHECK (octet_length(limits::text) <= 73728) NOT VALID;
-- A notification names the token, and has 8000 bytes at most.
ALTER TABLE cards ADD CONSTRAINT cards_token_bytes CHECK (octet_length(token) BETWEEN 1 AND 256) NOT VALID;
ALTER TABLE cards ADD CONSTRAINT cards_expires_finite CHECK (isfinite(expires)) NOT VALID;

-- Profiles that an engine could not apply, and declines until they change. The engine that met one writes it here before
-- it reports the change as applied, and takes it out once it can apply the profile.
CREATE TABLE feed_set_apart (
  topic text NOT NULL CHECK (topic IN ('card', 'user', 'account')),
  key text NOT NULL,
  version bigint NOT NULL,
  reason text NOT NULL,
  since timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (topic, key)
);
-- How many profiles an engine has set apart: with none, a confirmation needs no look at feed_set_apart.
ALTER TABLE feed_engines ADD COLUMN set_apart integer NOT NULL DEFAULT 0;
CREATE OR REPLACE VIEW feed_engines_live AS
SELECT id, place, pid, applied, seen_at, stale_ms, set_apart FROM feed_engines
WHERE clock_timestamp() <= seen_at + stale_ms * 1.05 * interval '1 millisecond' + interval '1 second';

-- A profile of at most `bytes_max`: from a longer one the limits and the name are taken out, and the engine then declines
-- its card, user or account instead of reading it.
CREATE FUNCTION feed_bounded(payload jsonb, bytes_max integer) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF payload IS NULL OR octet_length(payload::text) <= bytes_max THEN
    RETURN payload;
  END IF;
  IF jsonb_typeof(payload) = 'object' THEN
    payload := payload - 'limits' - 'name';
    IF octet_length(payload::text) <= bytes_max THEN
      RETURN payload;
    END IF;
  END IF;
  RETURN '{}';
END
$$;

-- Entries after `after`, in order: at most `count_max`, and at most `bytes_max` of profiles, but always one. The loop ends
-- at the bound, so that profiles beyond it are never unpacked.
CREATE FUNCTION feed_page(after bigint, count_max integer, bytes_max integer, payload_bytes_max integer)
RETURNS TABLE (sequence bigint, topic text, key text, version bigint, payload jsonb, created_at timestamptz)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
DECLARE
  total bigint := 0;
BEGIN
  FOR sequence, topic, key, version, payload, created_at IN
    SELECT o.sequence, o.topic, o.key, o.version, feed_bounded(o.payload, payload_bytes_max), o.created_at
    FROM outbox o WHERE o.sequence > after ORDER BY o.sequence LIMIT count_max
  LOOP
    EXIT WHEN total > 0 AND total + octet_length(payload::text) > bytes_max;
    total := total + octet_length(payload::text);
    RETURN NEXT;
  END LOOP;
END
$$;

-- Rows after number `after`, as feed_page: `payload` is the profile of a row that ever changed, else null.
CREATE FUNCTION feed_snapshot_page(
  topic text, after bigint, count_max integer, bytes_max integer, payload_bytes_max integer
) RETURNS TABLE (number bigint, payload jsonb)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
DECLARE
  total bigint := 0;
BEGIN
  FOR number, payload IN EXECUTE format(
    'SELECT t.id, CASE WHEN t.version > 1 THEN feed_bounded(%I(t), $3) END FROM %I t WHERE t.id > $1 ORDER BY t.id LIMIT $2',
    topic || '_profile', topic || 's') USING after, count_max, payload_bytes_max
  LOOP
    EXIT WHEN total > 0 AND total + coalesce(octet_length(payload::text), 0) > bytes_max;
    total := total + coalesce(octet_length(payload::text), 0);
    RETURN NEXT;
  END LOOP;
END
$$;

DROP FUNCTION feed_confirm_live(text[], bigint[], bigint[], integer);
DROP FUNCTION feed_number(integer, integer);

-- As in 110, but fewer entries at a time, for each profile is unpacked to name what the API's processes must not keep; and
-- entries are brought along only where they are small.
CREATE FUNCTION feed_number(
  batch integer DEFAULT 2000, carry integer DEFAULT 0, OUT newest bigint, OUT more boolean, OUT entries json
)
LANGUAGE plpgsql
-- Always by index: nobody has told the planner yet how few entries have no number when it makes its plans.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  -- Far more than are given in the second that a commit may be late to the disk.
  skipped constant bigint := 10000000;
  carried_bytes_max constant integer := 1048576;
  payload_bytes_max constant integer := 98304;
  fresh bigint[];
  names text[];
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
    RETURNING o.topic, o.payload ->> 'ownerKey' AS owner, CASE WHEN o.topic = 'card' THEN o.payload ->> 'token' END AS token
  )
  SELECT coalesce(array_agg(DISTINCT topic || 's:' || owner) FILTER (WHERE topic <> 'user'), '{}')
    || coalesce(array_agg(DISTINCT 'card ' || token), '{}')
  INTO names FROM given;
  UPDATE feed_position p SET newest = p.newest + cardinality(fresh) RETURNING p.newest INTO newest;
  IF cardinality(fresh) <= carry THEN
    SELECT CASE WHEN count(*) = cardinality(fresh) THEN
      json_agg(json_build_object('sequence', e.sequence, 'topic', e.topic, 'payload', e.payload,
        'atMs', extract(epoch from e.created_at) * 1000) ORDER BY e.sequence)
    END INTO entries
    FROM feed_page(newest - cardinality(fresh), cardinality(fresh), carried_bytes_max, payload_bytes_max) e;
  END IF;
  PERFORM pg_notify('feed', newest::text);
  -- Names of what the API's processes must not keep, and of what they take out of Redis (api/cache). What no name of
  -- theirs can be is left out: a notification that is too long would fail the numbering of everything else.
  PERFORM pg_notify('cache', name) FROM unnest(names) name WHERE octet_length(name) < 1000;
  more := cardinality(fresh) = batch;
END
$$;

-- As in 110; `engines` also say whether they have set profiles apart.
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
  SELECT coalesce(json_agg(json_build_object('id', e.id, 'applied', e.applied, 'setApart', e.set_apart)), '[]')
  INTO engines FROM feed_engines_live e;
END
$$;

-- For changes that every engine has applied: whether they are in force as they were asked. One that was set apart is
-- declined everywhere, so a freeze of it is in force and anything else is not.
CREATE FUNCTION feed_in_force(topics text[], keys bigint[]) RETURNS boolean[]
LANGUAGE sql STABLE AS $$
  SELECT array_agg(NOT EXISTS (
    SELECT FROM feed_set_apart f
    WHERE f.topic = asked.topic AND f.key = asked.key::text AND (f.version, 'active') = (
      SELECT t.version, t.status FROM cards t WHERE asked.topic = 'card' AND t.id = asked.key
      UNION ALL SELECT t.version, t.status FROM users t WHERE asked.topic = 'user' AND t.id = asked.key
      UNION ALL SELECT t.version, t.status FROM accounts t WHERE asked.topic = 'account' AND t.id = asked.key
    )
  ) ORDER BY asked.place)
  FROM unnest(topics, keys) WITH ORDINALITY AS asked (topic, key, place)
$$;
