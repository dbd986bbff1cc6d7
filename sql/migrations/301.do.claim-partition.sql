-- Gives a partition to an engine, with an epoch above all that were ever there, and raises the partition's fence: the
-- statements under way of the holder before it end first, and none of it changes anything any more.
-- Returns the epoch; null while the partition is another engine's.
CREATE FUNCTION claim_partition(p_partition integer, p_engine uuid) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  none constant uuid := '00000000-0000-0000-0000-000000000000';
  fence constant text := 'partition ' || p_partition;
  lease partition_leases;
  given bigint;
BEGIN
  -- First of all: every statement below sees what was committed while this one waited.
  SELECT * INTO STRICT lease FROM partition_leases WHERE partition = p_partition FOR UPDATE;
  IF NOT EXISTS (
      SELECT FROM engines
      WHERE id = p_engine AND renewed_at + lease_ms * interval '1 millisecond' > clock_timestamp())
    OR (lease.holder <> p_engine AND EXISTS (SELECT FROM engines_alive WHERE id = lease.holder))
    OR (lease.reserved_for <> p_engine AND lease.reserved_until > clock_timestamp()
      AND EXISTS (SELECT FROM engines_alive WHERE id = lease.reserved_for))
    -- An engine of a version before this one has all partitions, or one with a local journal.
    OR EXISTS (
      SELECT FROM writer_leases
      WHERE scope = 'ledger'
        AND renewed_at + lease_ms * 1.05 * interval '1 millisecond' + interval '1 second' > clock_timestamp())
  THEN
    RETURN NULL;
  END IF;

  given := 1 + greatest(
    lease.epoch,
    (SELECT max(epoch) FROM writer_epochs WHERE scope IN ('ledger', fence)),
    (SELECT epoch FROM writer_leases WHERE scope = 'ledger'),
    (SELECT epoch FROM journal_owners WHERE partition = p_partition),
    (SELECT epoch FROM journal_frames WHERE partition = p_partition ORDER BY position DESC LIMIT 1));
  UPDATE partition_leases
  SET epoch = given, holder = p_engine, reserved_for = NULL, reserved_until = NULL, taken_at = clock_timestamp()
  WHERE partition = p_partition;

  -- A settle statement whose client is gone goes on, and the fence would wait for it.
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname = current_database() AND usename = current_user AND state <> 'idle'
    AND application_name IN ('settle', 'settle ' || p_partition);
  -- Excludes an engine of a version before this one, should it still run: it ends when it finds its lease taken.
  UPDATE writer_leases SET epoch = epoch + 1, holder = none, renewed_at = NULL
  WHERE scope = 'ledger' AND holder <> none;
  UPDATE writer_epochs SET epoch = epoch + 1, holder = none WHERE scope = 'ledger' AND holder <> none;
  INSERT INTO writer_epochs VALUES (fence, given, p_engine)
  ON CONFLICT (scope) DO UPDATE SET epoch = excluded.epoch, holder = excluded.holder;
  RETURN given;
END
$$;
