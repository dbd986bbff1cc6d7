-- What was asked of the engine and has no outcome in the audit trail. An API process that ends in between leaves such a
-- row behind; a sweep of any API process finds out what came of it, or records that the outcome is unknown.
CREATE TABLE audit_open (
  -- Of the entry.
  id bigint PRIMARY KEY,
  at timestamptz NOT NULL,
  request_id text,
  action text NOT NULL,
  object_kind text,
  object_id text NOT NULL,
  -- Id of the movement or the release; of a retry, which has none, the request's.
  key text NOT NULL,
  before jsonb,
  after jsonb,
  -- When the engines first failed to answer for this entry.
  failing_since timestamptz
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX audit_open_key ON audit_open (object_id, key);

ALTER TABLE audit_fresh DROP CONSTRAINT audit_fresh_outcome_check,
  ADD CONSTRAINT audit_fresh_outcome_check CHECK (outcome IN ('done', 'refused', 'asked', 'unknown'));

-- Entries come from functions of the owner alone, and with their rights this follows them.
CREATE FUNCTION audit_follow() RETURNS trigger
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  own_key constant text := coalesce(NEW.after ->> 'id', NEW.request_id);
BEGIN
  IF NEW.outcome = 'asked' THEN
    INSERT INTO audit_open (id, at, request_id, action, object_kind, object_id, key, before, after)
    VALUES (NEW.id, NEW.at, NEW.request_id, NEW.action, NEW.object_kind, NEW.object_id, own_key, NEW.before, NEW.after);
  ELSE
    DELETE FROM audit_open o WHERE o.object_id = NEW.object_id AND o.key = own_key AND o.action = NEW.action;
  END IF;
  RETURN NULL;
END
$$;
-- An outcome without a request before it, as that of a funding, finds nothing to delete.
CREATE TRIGGER follow AFTER INSERT ON audit_fresh FOR EACH ROW WHEN (
  NEW.action IN ('account.deposit', 'account.withdrawal', 'transaction.release', 'quarantine.retry')
  AND NEW.object_id IS NOT NULL AND coalesce(NEW.after ->> 'id', NEW.request_id) IS NOT NULL
) EXECUTE FUNCTION audit_follow();

-- Records what came of an entry that is still open. @returns false: it has an outcome meanwhile
CREATE FUNCTION audit_complete(entry bigint, outcome text, additions jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  asked audit_open;
BEGIN
  -- One of several processes at a time has the row, and the others find it gone.
  DELETE FROM audit_open o WHERE o.id = entry RETURNING * INTO asked;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM audit_append(
    jsonb_strip_nulls(jsonb_build_object('kind', 'system', 'id', 'audit', 'request', asked.request_id)),
    asked.action, asked.object_kind, asked.object_id, asked.before, coalesce(asked.after, '{}') || additions, outcome);
  RETURN true;
END
$$;

-- The engines could not be asked about an open entry. @returns for how many milliseconds that is so; null: it has an
-- outcome meanwhile
CREATE FUNCTION audit_failing(entry bigint) RETURNS double precision
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  UPDATE audit_open SET failing_since = coalesce(failing_since, clock_timestamp()) WHERE id = entry
  RETURNING extract(epoch FROM clock_timestamp() - failing_since)::float8 * 1000
$$;
