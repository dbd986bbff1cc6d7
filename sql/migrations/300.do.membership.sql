-- Many engines on one ledger (JOURNAL=postgres): which engines run, and which of them has which partition. A lease says
-- who should write; it does not make writing safe. Safe is the journal by the position of its frames (290), and the
-- ledger by the fence of the partition, a row of writer_epochs of scope 'partition N' (160).
CREATE TABLE engines (
  -- Drawn at each start.
  id uuid PRIMARY KEY,
  auth_url text NOT NULL,
  ops_url text NOT NULL,
  -- Where the other engines reach it.
  peer_host text NOT NULL,
  peer_port integer NOT NULL CHECK (peer_port BETWEEN 1 AND 65535),
  -- For people: where it runs.
  host text NOT NULL,
  pid integer NOT NULL,
  version text NOT NULL,
  lease_ms integer NOT NULL CHECK (lease_ms > 0),
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Null: stopped.
  renewed_at timestamptz DEFAULT clock_timestamp(),
  -- Since when it renews without a gap of half its lease. Such an engine proves that this database was there to renew.
  steady_since timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- It is about to stop: no partition goes there.
  is_leaving boolean NOT NULL DEFAULT false
) WITH (fillfactor = 10);

-- One row a partition, made by the first start. The lease counts as long as its holder is in engines_alive.
CREATE TABLE partition_leases (
  partition integer PRIMARY KEY CHECK (partition >= 0),
  -- Of the newest holder; each has a higher one.
  epoch bigint NOT NULL DEFAULT 0,
  -- Null: free.
  holder uuid,
  -- The engine that a release made it free for, and until when no other may take it.
  reserved_for uuid,
  reserved_until timestamptz,
  taken_at timestamptz
) WITH (fillfactor = 10);

-- Engines whose partitions no other engine takes. The stamp and the comparison are both by this database's clock, so no
-- two clocks are compared, and the lease needs no margin. An engine that could not renew because this database was away
-- is not dead: where no other engine has renewed steadily meanwhile, its lease counts on.
CREATE VIEW engines_alive AS
SELECT e.*, (lease_ms + extract(epoch FROM renewed_at - clock_timestamp()) * 1000)::float8 AS lease_ms_left
FROM engines AS e
WHERE renewed_at IS NOT NULL
  AND (renewed_at + lease_ms * interval '1 millisecond' > clock_timestamp()
    OR NOT EXISTS (
      SELECT FROM engines AS w
      WHERE w.renewed_at + w.lease_ms * interval '1 millisecond' > clock_timestamp()
        AND w.steady_since < clock_timestamp() - e.lease_ms * interval '1 millisecond'));

-- A hint to read again; a renewal is none.
CREATE FUNCTION membership_changed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('membership', '');
  RETURN NULL;
END
$$;
CREATE TRIGGER membership_changed AFTER INSERT OR UPDATE ON partition_leases
  FOR EACH ROW EXECUTE FUNCTION membership_changed();
CREATE TRIGGER membership_joined AFTER INSERT ON engines
  FOR EACH ROW EXECUTE FUNCTION membership_changed();
CREATE TRIGGER membership_left AFTER UPDATE ON engines
  FOR EACH ROW WHEN (new.renewed_at IS NULL OR old.is_leaving <> new.is_leaving)
  EXECUTE FUNCTION membership_changed();
