-- Names what is cached in Redis of this database: its feed, and the server's timeline. A database that was promoted from a
-- standby, or set back to a point in time, has a new timeline: it gives numbers and versions again that were given before,
-- and must not meet what was cached under them.
CREATE FUNCTION cache_space() RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  timeline text;
BEGIN
  BEGIN
    timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);
  EXCEPTION WHEN OTHERS THEN
    -- A server that speaks the protocol and has no timelines.
    timeline := '0';
  END;
  RETURN feed_id()::text || '-' || timeline;
END
$$;
