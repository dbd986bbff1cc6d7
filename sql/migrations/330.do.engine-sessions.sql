-- An engine whose process has ended is replaced before its lease ends. Its session is gone from this server then, and
-- it does not renew from another one. As with a lease, that only says when to take over: safe is the position of the
-- journal's frames, and the fence of the partition.
ALTER TABLE engines
  -- The session that renewed last, and the start of its server: on another server the number says nothing.
  ADD COLUMN session_pid integer,
  ADD COLUMN server_started timestamptz,
  -- How often another engine has declared it dead. One that lives sees by it that it may have lost its partitions.
  ADD COLUMN declared_dead integer NOT NULL DEFAULT 0;
