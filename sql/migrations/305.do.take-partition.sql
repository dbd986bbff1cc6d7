-- What an engine needs to start a partition, in one commit: messages of the partition wait meanwhile. Where the holder
-- has agreed to give the partition away, its lease ends here, so the holder needs no statement of its own before.
-- p_from and p_from_epoch name that lease; both are null for a partition that is free or whose holder is not alive.
-- Returns the epoch and the settled position; no row while the partition is another engine's.
CREATE FUNCTION take_partition(
  p_partition integer, p_engine uuid, p_from uuid, p_from_epoch bigint, p_partition_count integer)
RETURNS TABLE (given bigint, settled bigint)
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE partition_leases
  SET holder = NULL, reserved_for = p_engine, reserved_until = clock_timestamp() + interval '2 seconds'
  WHERE partition = p_partition AND holder = p_from AND epoch = p_from_epoch;
  given := claim_partition(p_partition, p_engine);
  IF given IS NULL THEN
    RETURN;
  END IF;
  INSERT INTO journal_positions (partition, partition_count, journal)
  VALUES (p_partition, p_partition_count, 'postgres') ON CONFLICT (partition) DO NOTHING;
  -- The fence is raised: no statement of another engine moves the position any more.
  SELECT p.sequence INTO settled FROM journal_positions AS p WHERE p.partition = p_partition;
  RETURN NEXT;
END
$$;
