-- The journal in PostgreSQL (JOURNAL=postgres). A row is a frame: what a partition decided in one commit. The position
-- is the fence. The owner of a partition appends at exactly the next position, and a new owner first appends a takeover
-- frame, without records, under its own epoch. An owner that was replaced collides with that frame and knows it. No
-- clock and no lock is needed for that.
CREATE TABLE journal_frames (
  partition integer NOT NULL,
  position bigint NOT NULL CHECK (position > 0),
  -- Of the owner's lease, and the owner: the frame is its own only where both match.
  epoch bigint NOT NULL CHECK (epoch > 0),
  holder uuid NOT NULL,
  first_sequence bigint NOT NULL CHECK (first_sequence > 0),
  record_count integer NOT NULL CHECK (record_count >= 0),
  -- Milliseconds stamped on the newest batch.
  at_ms double precision NOT NULL,
  -- CRC-32C of the records.
  checksum bigint NOT NULL,
  -- The records end to end, as docs/journal-format.md has them.
  records bytea NOT NULL,
  PRIMARY KEY (partition, position)
) PARTITION BY LIST (partition);
-- Records are short texts and numbers; compressing them would cost more processor time than the disk saves.
ALTER TABLE journal_frames ALTER COLUMN records SET STORAGE EXTERNAL;

-- Whose a partition is now. An owner that must know that all it has committed is safe counts a barrier here: that
-- commit waits for the standbys, and so for everything before it.
CREATE TABLE journal_owners (
  partition integer PRIMARY KEY,
  epoch bigint NOT NULL,
  holder uuid NOT NULL,
  taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  barriers bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

-- Which journal a partition has: an engine with the other one would decide from books that lack what is not settled.
ALTER TABLE journal_positions ADD COLUMN journal text NOT NULL DEFAULT 'local'
  CHECK (journal IN ('local', 'postgres'));

-- Frames of one partition stand in tables of so many positions, and leave with a whole table.
CREATE FUNCTION journal_table_positions() RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT 16384::bigint $$;

-- Makes the tables for frames at and behind p_position, and drops those whose frames are all settled, except the one
-- with the newest frame: it says where the partition stands. Only the owner of the partition calls it, so its locks
-- hold up no other partition.
CREATE FUNCTION journal_upkeep(p_partition integer, p_position bigint, p_settled bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  wide constant bigint := journal_table_positions();
  parent constant text := 'journal_frames_p' || p_partition;
  newest bigint;
  ending bigint;
  low bigint;
  leaf regclass;
  dropped integer := 0;
BEGIN
  IF to_regclass(parent) IS NULL THEN
    EXECUTE format(
      'CREATE TABLE %I PARTITION OF journal_frames FOR VALUES IN (%s) PARTITION BY RANGE (position)',
      parent, p_partition);
  END IF;
  FOR low IN SELECT (p_position / wide + step) * wide FROM generate_series(0, 1) AS step LOOP
    IF to_regclass(parent || '_' || low) IS NULL THEN
      EXECUTE format(
        'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s)', parent || '_' || low, parent, low, low + wide);
    END IF;
  END LOOP;
  SELECT max(position) INTO newest FROM journal_frames WHERE partition = p_partition;
  FOR leaf, low IN
    SELECT c.oid::regclass, substring(c.relname FROM '\d+$')::bigint
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = parent::regclass ORDER BY 2
  LOOP
    EXIT WHEN newest IS NULL OR low + wide > newest;
    EXECUTE format('SELECT max(first_sequence + record_count - 1) FROM %s', leaf) INTO ending;
    EXIT WHEN ending > p_settled;
    EXECUTE format('DROP TABLE %s', leaf);
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END
$$;

-- Makes the caller the owner of a partition: appends the takeover frame behind every frame that is or will be
-- committed. Its commit waits for theirs, and for the standbys where the server waits for them: what stands before
-- it is safe.
-- Returns the frame's position, and the sequence that the next record gets.
CREATE FUNCTION journal_take_over(p_partition integer, p_epoch bigint, p_holder uuid, p_at_ms double precision)
RETURNS TABLE (at_position bigint, next_sequence bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  newest record;
BEGIN
  LOOP
    SELECT f.position, f.epoch, f.first_sequence + f.record_count AS next INTO newest
    FROM journal_frames AS f WHERE f.partition = p_partition ORDER BY f.position DESC LIMIT 1;
    IF newest.epoch > p_epoch THEN
      RAISE EXCEPTION 'partition % has an owner of epoch %, and this one has epoch %',
        p_partition, newest.epoch, p_epoch USING ERRCODE = 'AF001';
    END IF;
    at_position := coalesce(newest.position, 0) + 1;
    next_sequence := newest.next;
    IF next_sequence IS NULL THEN
      SELECT p.sequence + 1 INTO STRICT next_sequence FROM journal_positions AS p WHERE p.partition = p_partition;
    END IF;
    PERFORM journal_upkeep(p_partition, at_position, 0);
    BEGIN
      -- Waits for another frame on its way to this position, and then fails.
      INSERT INTO journal_frames VALUES (
        p_partition, at_position, p_epoch, p_holder, next_sequence, 0, p_at_ms, 0, '');
      EXIT;
    EXCEPTION WHEN unique_violation THEN
      -- The frame before us was committed: we stand behind it.
    END;
  END LOOP;
  INSERT INTO journal_owners AS o (partition, epoch, holder) VALUES (p_partition, p_epoch, p_holder)
  ON CONFLICT (partition) DO UPDATE
  SET epoch = excluded.epoch, holder = excluded.holder, taken_at = clock_timestamp();
  RETURN NEXT;
END
$$;
