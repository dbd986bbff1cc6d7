-- The audit trail (PCI DSS 10.2): who did what to what, from where, and what it changed. An entry is written in the
-- transaction of what it records, so neither is there without the other.
--
-- A chain of hashes over all entries has one order, and an order needs one writer at a time. So entries arrive in
-- `audit_fresh` side by side, and audit_seal() moves what is committed into `audit_trail`: one sealer at a time, in
-- batches, each entry with its place and the hash of itself and the entry before. An unsealed entry is protected by
-- privileges alone; that lasts about a second.
CREATE TABLE audit_fresh (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- database: a statement at psql or of a tool; its id is the role. visitor: has not signed in.
  actor_kind text NOT NULL CHECK (actor_kind IN ('user', 'operator', 'key', 'visitor', 'system', 'database')),
  -- Public id, as all ids here.
  actor_id text,
  address text,
  request_id text,
  action text NOT NULL,
  object_kind text,
  object_id text,
  before jsonb,
  after jsonb,
  outcome text NOT NULL CHECK (outcome IN ('done', 'refused', 'asked'))
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE TABLE audit_trail (
  -- Month of sealing (UTC): places of a month are one range, so that a month can go and leave an anchor.
  month date NOT NULL,
  -- From 1, without gaps.
  place bigint NOT NULL,
  hash bytea NOT NULL,
  id bigint NOT NULL,
  at timestamptz NOT NULL,
  actor_kind text NOT NULL,
  actor_id text,
  address text,
  request_id text,
  action text NOT NULL,
  object_kind text,
  object_id text,
  before jsonb,
  after jsonb,
  outcome text NOT NULL,
  PRIMARY KEY (month, place)
) PARTITION BY RANGE (month);
CREATE INDEX audit_trail_id ON audit_trail (id DESC);
CREATE INDEX audit_trail_at ON audit_trail (at, id);
CREATE INDEX audit_trail_actor ON audit_trail (actor_id, id DESC);
CREATE INDEX audit_trail_object ON audit_trail (object_id, id DESC);
CREATE INDEX audit_trail_action ON audit_trail (action, id DESC);

-- The newest sealed entry. Its hash stands for everything before it: keep copies of it elsewhere.
CREATE TABLE audit_head (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  place bigint NOT NULL DEFAULT 0,
  hash bytea NOT NULL DEFAULT sha256(''),
  month date NOT NULL DEFAULT date '2000-01-01'
) WITH (fillfactor = 10);
INSERT INTO audit_head DEFAULT VALUES;

-- The last entry of every month that was dropped: the chain's first remaining entry follows the newest of these.
CREATE TABLE audit_anchors (
  place bigint PRIMARY KEY,
  hash bytea NOT NULL,
  dropped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The API's role has no right to change entries; this stops the owner's slips as well.
CREATE FUNCTION audit_keep() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'audit_fresh' AND current_setting('audit.sealing', true) = 'on' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'entries of the audit trail are never changed or deleted' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON audit_fresh FOR EACH ROW EXECUTE FUNCTION audit_keep();
CREATE TRIGGER keep_all BEFORE TRUNCATE ON audit_fresh FOR EACH STATEMENT EXECUTE FUNCTION audit_keep();
CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON audit_trail FOR EACH ROW EXECUTE FUNCTION audit_keep();
CREATE TRIGGER keep_all BEFORE TRUNCATE ON audit_trail FOR EACH STATEMENT EXECUTE FUNCTION audit_keep();

-- Hash of an entry and, through `previous`, of all before it. Times in UTC whatever the session's zone.
CREATE FUNCTION audit_digest(previous bytea, e audit_trail) RETURNS bytea
LANGUAGE sql STABLE AS $$
  SELECT sha256(previous || convert_to(jsonb_build_array(e.month, e.place, e.id, e.at AT TIME ZONE 'UTC', e.actor_kind,
    e.actor_id, e.address, e.request_id, e.action, e.object_kind, e.object_id, e.before, e.after, e.outcome)::text, 'UTF8'))
$$;

-- A value that is too long for the trail leaves its length and its hash there.
CREATE FUNCTION audit_bounded(value jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN octet_length(value::text) <= 4096 THEN value
    ELSE jsonb_build_object('bytes', octet_length(value::text), 'sha256', encode(sha256(convert_to(value::text, 'UTF8')), 'hex'))
  END
$$;

-- Makes the partition of a month. Attached rather than created in place: that does not wait for readers.
CREATE FUNCTION audit_partition(month date) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  name text := 'audit_trail_' || to_char(month, 'YYYYMM');
BEGIN
  IF to_regclass(name) IS NOT NULL THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE audit_trail INCLUDING DEFAULTS)', name);
  EXECUTE format('ALTER TABLE audit_trail ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, month,
    month + interval '1 month');
  EXECUTE format('CREATE TRIGGER keep_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION audit_keep()', name);
END
$$;

-- Seals committed entries, at most `batch`. @returns how many; 0 also while another process seals.
CREATE FUNCTION audit_seal(batch integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  head audit_head;
  fresh audit_fresh;
  entry audit_trail;
  sealed bigint[] := '{}';
BEGIN
  SELECT * INTO head FROM audit_head FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  FOR fresh IN SELECT * FROM audit_fresh ORDER BY id LIMIT least(batch, 10000) LOOP
    entry.month := greatest(head.month, date_trunc('month', fresh.at AT TIME ZONE 'UTC')::date);
    IF entry.month <> head.month THEN
      PERFORM audit_partition(entry.month);
    END IF;
    entry.place := head.place + 1;
    entry.id := fresh.id;
    entry.at := fresh.at;
    entry.actor_kind := fresh.actor_kind;
    entry.actor_id := fresh.actor_id;
    entry.address := fresh.address;
    entry.request_id := fresh.request_id;
    entry.action := fresh.action;
    entry.object_kind := fresh.object_kind;
    entry.object_id := fresh.object_id;
    entry.before := fresh.before;
    entry.after := fresh.after;
    entry.outcome := fresh.outcome;
    entry.hash := audit_digest(head.hash, entry);
    INSERT INTO audit_trail SELECT entry.*;
    head.place := entry.place;
    head.hash := entry.hash;
    head.month := entry.month;
    sealed := sealed || fresh.id;
  END LOOP;
  IF cardinality(sealed) = 0 THEN
    RETURN 0;
  END IF;
  PERFORM set_config('audit.sealing', 'on', true);
  DELETE FROM audit_fresh WHERE id = ANY (sealed);
  PERFORM set_config('audit.sealing', 'off', true);
  UPDATE audit_head SET place = head.place, hash = head.hash, month = head.month;
  RETURN cardinality(sealed);
END
$$;

-- Partitions for this month and the two to come, and an end to those older than 13 months: PCI DSS asks for 12. The time is
-- no parameter, so that the API's role can drop nothing newer. @returns the partitions made and dropped
CREATE FUNCTION audit_upkeep() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  this_month constant date := date_trunc('month', now() AT TIME ZONE 'UTC')::date;
  month date;
  name text;
  count integer := 0;
BEGIN
  PERFORM FROM audit_head FOR UPDATE;
  FOR ahead IN 0 .. 2 LOOP
    month := (this_month + make_interval(months => ahead))::date;
    IF to_regclass('audit_trail_' || to_char(month, 'YYYYMM')) IS NULL THEN
      PERFORM audit_partition(month);
      count := count + 1;
    END IF;
  END LOOP;
  FOR name IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit_trail'::regclass ORDER BY c.relname
  LOOP
    -- The whole month is older than 13 months.
    CONTINUE WHEN to_date(right(name, 6), 'YYYYMM') >= this_month - interval '13 months';
    EXECUTE format('INSERT INTO audit_anchors (place, hash) SELECT place, hash FROM %I ORDER BY place DESC LIMIT 1', name);
    EXECUTE format('DROP TABLE %I', name);
    count := count + 1;
  END LOOP;
  RETURN count;
END
$$;
SELECT audit_upkeep();
