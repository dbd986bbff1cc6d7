-- Open transactions of a partition whose lifetime ended, oldest first, behind a place. Engines ask every two seconds.
-- A plan is made once a connection, perhaps while the table is empty: then the index of all open transactions looks as
-- good as transactions_lapsing, and each question reads all of them until autovacuum has counted the table. Only
-- transactions_lapsing brings them nearly in order, so without sorts it is the only choice.
CREATE FUNCTION lapsing_transactions(
  p_partition integer, p_until timestamptz, p_after timestamptz, p_after_id text, p_after_occurrence bigint,
  p_limit integer)
RETURNS TABLE (id text, occurrence bigint, expires_at timestamptz)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
SET enable_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  RETURN QUERY
  SELECT t.id, t.occurrence, t.expires_at
  FROM transactions AS t
  WHERE t.status = 1 AND t.partition = p_partition AND t.expires_at <= p_until
    AND (t.expires_at, t.id, t.occurrence) > (p_after, p_after_id, p_after_occurrence)
    AND NOT EXISTS (
      SELECT FROM quarantined_records AS q
      WHERE q.partition = p_partition AND q.chain = name_key(transaction_name(t.id, t.occurrence)))
  ORDER BY t.expires_at, t.id, t.occurrence LIMIT p_limit;
END
$$;
