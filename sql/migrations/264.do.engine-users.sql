-- Users as the engine may read them: without address, name, metadata and password. A profile takes the whole row, which a
-- right to some columns does not give.
CREATE VIEW engine_users AS SELECT id, public_id, company_id, version, status FROM users;

CREATE FUNCTION user_profile(u engine_users) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('number', u.id, 'version', u.version, 'status', u.status, 'limits',
    (SELECT l.limits FROM limits l WHERE l.level = 1 AND l.entity_id = u.id),
    'ownerKey', CASE WHEN u.company_id IS NULL THEN u.id * 2 ELSE u.company_id * 2 + 1 END, 'id', u.public_id)
$$;

-- As in 170, with users by that view.
CREATE OR REPLACE FUNCTION feed_snapshot_page(
  topic text, after bigint, count_max integer, bytes_max integer, payload_bytes_max integer
) RETURNS TABLE (number bigint, payload jsonb)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
DECLARE
  total bigint := 0;
BEGIN
  FOR number, payload IN EXECUTE format(
    'SELECT t.id, CASE WHEN t.version > 1 THEN feed_bounded(%I(t), $3) END FROM %I t WHERE t.id > $1 ORDER BY t.id LIMIT $2',
    topic || '_profile', CASE topic WHEN 'user' THEN 'engine_users' ELSE topic || 's' END)
    USING after, count_max, payload_bytes_max
  LOOP
    EXIT WHEN total > 0 AND total + coalesce(octet_length(payload::text), 0) > bytes_max;
    total := total + coalesce(octet_length(payload::text), 0);
    RETURN NEXT;
  END LOOP;
END
$$;
