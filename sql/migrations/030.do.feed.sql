-- The feed of changes to the engines. A row and its outbox entry are one statement: triggers write the entry, so nobody
-- can forget it. The outbox of 003 was never written to.
DROP TABLE outbox;

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Place in the feed, without gaps, in the order of commits; null until feed_number() has seen the row committed. An
  -- identity cannot serve: a transaction that took a lower one may commit later, and a reader would have passed it.
  sequence bigint UNIQUE,
  version bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  topic text NOT NULL CHECK (topic IN ('card', 'user', 'account')),
  -- Number of the card, user or account.
  key text NOT NULL,
  -- The whole profile as of `version`: whoever has it needs nothing else.
  payload jsonb NOT NULL
);
CREATE INDEX outbox_unnumbered ON outbox (id) WHERE sequence IS NULL;

CREATE TABLE feed_position (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- Last sequence given, and the last that was removed again: who stands before `pruned` needs a snapshot.
  newest bigint NOT NULL DEFAULT 0,
  pruned bigint NOT NULL DEFAULT 0,
  -- Names the feed where several may meet, as on a shared Redis; drawn by the first who asks (feed_id()).
  id uuid
) WITH (fillfactor = 10);
INSERT INTO feed_position DEFAULT VALUES;

-- Engines that may approve: who renewed its row within `stale_ms`. Not unlogged: a row that a crash of Postgres forgot
-- would be an engine that nobody waits for.
CREATE TABLE feed_engines (
  id uuid PRIMARY KEY,
  -- Machine and process, for the successor that finds the process dead.
  place text NOT NULL,
  pid integer NOT NULL,
  stale_ms integer NOT NULL CHECK (stale_ms > 0),
  -- Every change up to this sequence is in force there.
  applied bigint NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 10);

CREATE FUNCTION feed_id() RETURNS uuid
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE feed_position SET id = gen_random_uuid() WHERE id IS NULL;
  RETURN (SELECT id FROM feed_position);
END
$$;

-- Numbers what has been committed, at most `batch` entries, and tells the listeners. @returns the newest number, and
-- whether committed entries are left: once none are, everything committed before the call has a number up to `newest`.
CREATE FUNCTION feed_number(batch integer DEFAULT 10000, OUT newest bigint, OUT more boolean)
LANGUAGE plpgsql AS $$
DECLARE
  numbered bigint;
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
    RETURNING 1
  )
  SELECT count(*) INTO numbered FROM given;
  UPDATE feed_position p SET newest = p.newest + numbered RETURNING p.newest INTO newest;
  IF numbered > 0 THEN
    PERFORM pg_notify('feed', newest::text);
  END IF;
  more := numbered = batch;
END
$$;

-- Removes the oldest entries, at most `batch`: those older than `keep`, and those beyond the newest `keep_count`, so that
-- the table stays small while nobody looks. @returns how many went.
CREATE FUNCTION feed_prune(keep interval, keep_count bigint, batch integer DEFAULT 10000) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  last_old bigint;
  removed bigint;
BEGIN
  SELECT max(oldest.sequence) INTO last_old
  FROM (SELECT o.sequence, o.created_at FROM outbox o WHERE o.sequence IS NOT NULL ORDER BY o.sequence LIMIT batch) oldest
  WHERE oldest.created_at < clock_timestamp() - keep
     OR oldest.sequence <= (SELECT p.newest - keep_count FROM feed_position p);
  IF last_old IS NULL THEN
    RETURN 0;
  END IF;
  DELETE FROM outbox WHERE sequence <= last_old;
  GET DIAGNOSTICS removed = ROW_COUNT;
  UPDATE feed_position p SET pruned = greatest(p.pruned, last_old);
  RETURN removed;
END
$$;

-- Profiles as the engine takes them. One statement each, so limits and row are of one instant.
CREATE FUNCTION card_profile(c cards) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('token', c.token, 'number', c.id, 'version', c.version, 'status', c.status,
    'expiresDay', c.expires - date '1970-01-01', 'limits', l.limits, 'accountNumber', c.account_id,
    'userNumber', c.user_id, 'ownerKey', a.owner_key, 'id', c.public_id, 'name', c.name)
  FROM accounts a LEFT JOIN limits l ON l.level = 0 AND l.entity_id = c.id WHERE a.id = c.account_id
$$;

CREATE FUNCTION user_profile(u users) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('number', u.id, 'version', u.version, 'status', u.status, 'limits',
    (SELECT l.limits FROM limits l WHERE l.level = 1 AND l.entity_id = u.id),
    'ownerKey', CASE WHEN u.company_id IS NULL THEN u.id * 2 ELSE u.company_id * 2 + 1 END, 'id', u.public_id)
$$;

CREATE FUNCTION account_profile(a accounts) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('number', a.id, 'version', a.version, 'status', a.status, 'currency', a.currency,
    'timeZone', a.time_zone, 'partialApproval', a.partial_approval, 'limits',
    (SELECT l.limits FROM limits l WHERE l.level = 2 AND l.entity_id = a.id), 'ownerKey', a.owner_key,
    'id', a.public_id)
$$;

CREATE FUNCTION feed_card() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO outbox (topic, key, version, payload) VALUES ('card', NEW.id::text, NEW.version, card_profile(NEW));
  RETURN NULL;
END
$$;

CREATE FUNCTION feed_user() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO outbox (topic, key, version, payload) VALUES ('user', NEW.id::text, NEW.version, user_profile(NEW));
  RETURN NULL;
END
$$;

CREATE FUNCTION feed_account() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO outbox (topic, key, version, payload) VALUES ('account', NEW.id::text, NEW.version, account_profile(NEW));
  RETURN NULL;
END
$$;

-- Fired by a new version only: settling the books changes accounts all the time and is no news.
CREATE TRIGGER feed AFTER UPDATE ON cards
FOR EACH ROW WHEN (NEW.version <> OLD.version) EXECUTE FUNCTION feed_card();
CREATE TRIGGER feed AFTER UPDATE ON users
FOR EACH ROW WHEN (NEW.version <> OLD.version) EXECUTE FUNCTION feed_user();
CREATE TRIGGER feed AFTER UPDATE ON accounts
FOR EACH ROW WHEN (NEW.version <> OLD.version) EXECUTE FUNCTION feed_account();

-- A change without a new version gets one: an engine ignores what is not newer, and a person at psql forgets.
CREATE FUNCTION next_version() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1;
  RETURN NEW;
END
$$;
CREATE TRIGGER next_version BEFORE UPDATE OF status, name, expires, token, account_id, user_id ON cards
FOR EACH ROW WHEN (NEW.version = OLD.version AND (NEW.status, NEW.name, NEW.expires, NEW.token, NEW.account_id, NEW.user_id)
  IS DISTINCT FROM (OLD.status, OLD.name, OLD.expires, OLD.token, OLD.account_id, OLD.user_id))
EXECUTE FUNCTION next_version();
CREATE TRIGGER next_version BEFORE UPDATE OF status ON users
FOR EACH ROW WHEN (NEW.version = OLD.version AND NEW.status <> OLD.status) EXECUTE FUNCTION next_version();
CREATE TRIGGER next_version BEFORE UPDATE OF status, time_zone, partial_approval ON accounts
FOR EACH ROW WHEN (NEW.version = OLD.version AND (NEW.status, NEW.time_zone, NEW.partial_approval)
  IS DISTINCT FROM (OLD.status, OLD.time_zone, OLD.partial_approval))
EXECUTE FUNCTION next_version();

-- Limits are part of their owner's profile, which has one version. Whoever changes limits raises it in the same
-- statement; where that was forgotten, this does. The same statement: the owner's row was written by this transaction
-- (xmin) with the same command number (cmin). A DELETE leaves no row to compare and always raises it.
CREATE FUNCTION feed_limits() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
  level smallint;
  entity bigint;
  command cid;
BEGIN
  IF TG_OP = 'DELETE' THEN
    level := OLD.level;
    entity := OLD.entity_id;
  ELSE
    level := NEW.level;
    entity := NEW.entity_id;
    SELECT l.cmin INTO command FROM limits l WHERE l.level = NEW.level AND l.entity_id = NEW.entity_id;
  END IF;
  CASE level
    WHEN 0 THEN
      UPDATE cards t SET version = t.version + 1 WHERE t.id = entity
      AND NOT (t.xmin = pg_current_xact_id()::xid AND coalesce(t.cmin = command, false));
    WHEN 1 THEN
      UPDATE users t SET version = t.version + 1 WHERE t.id = entity
      AND NOT (t.xmin = pg_current_xact_id()::xid AND coalesce(t.cmin = command, false));
    ELSE
      UPDATE accounts t SET version = t.version + 1 WHERE t.id = entity
      AND NOT (t.xmin = pg_current_xact_id()::xid AND coalesce(t.cmin = command, false));
  END CASE;
  RETURN NULL;
END
$$;
CREATE TRIGGER feed_new AFTER INSERT OR DELETE ON limits FOR EACH ROW EXECUTE FUNCTION feed_limits();
CREATE TRIGGER feed_changed AFTER UPDATE ON limits
FOR EACH ROW WHEN (NEW.limits IS DISTINCT FROM OLD.limits) EXECUTE FUNCTION feed_limits();

-- For whoever waits until changes are in force: whether rows have those versions (or newer), then numbers what is
-- committed. A change found present has a number up to `newest`, unless `more` says that some are left.
CREATE FUNCTION feed_confirm(
  topics text[], keys bigint[], versions bigint[], OUT newest bigint, OUT more boolean, OUT present boolean[]
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
  SELECT given.newest, given.more INTO newest, more FROM feed_number() given;
END
$$;

-- Engines that may still approve. An engine stops by itself `stale_ms` after it began its last renewal, on its own clock;
-- this clock saw the renewal later than it began, so by `seen_at + stale_ms` here the engine has stopped there, provided
-- that the two clocks run alike: 5 % and a second are far beyond what clocks and the engine's own checks can be off.
CREATE VIEW feed_engines_live AS
SELECT id, place, pid, applied, seen_at, stale_ms FROM feed_engines
WHERE clock_timestamp() <= seen_at + stale_ms * 1.05 * interval '1 millisecond' + interval '1 second';
