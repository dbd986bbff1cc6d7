-- The actor of a writing statement. Every writing statement of the API calls actor_enter() first: it refuses an actor who
-- may not write as of now, and leaves who acts to the triggers of the audit trail (262), which check the actor once more
-- behind the rows' locks. Both look with a snapshot of their own, for a statement may have waited since its own began.
--
-- The actor's row is not locked. Share locks would let a stream of writes hold off the block of the user who sends them,
-- and two changes of one's own row would wait for each other. So a block is in force for every statement whose last check
-- comes after the block's commit. A statement that passed its last check before is complete but for its commit.
--
-- context: { kind: 'user' | 'operator' | 'key' | 'visitor' | 'system', number, id, session, callers, address, request }

-- Raises AF401 or AF403 when the actor may not act now. What this very statement wrote is left out: the triggers check the
-- row that it replaced.
CREATE FUNCTION actor_check(context jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  number bigint := (context ->> 'number')::bigint;
  session bigint := (context ->> 'session')::bigint;
  present boolean := false;
  refused boolean;
  allowed boolean := false;
BEGIN
  CASE context ->> 'kind'
    WHEN 'user' THEN
      SELECT true, u.status <> 'active' AND NOT own.written, own.written OR context -> 'callers' ? coalesce(u.role, 'personal')
      INTO present, refused, allowed
      FROM users u, LATERAL (SELECT u.xmin = pg_current_xact_id_if_assigned()::xid IS TRUE AS written) own WHERE u.id = number;
      -- Old sessions are removed while their access tokens live: only an ended one refuses.
      IF EXISTS (
        SELECT FROM sessions s WHERE s.id = session AND s.ended_at IS NOT NULL
          AND s.xmin IS DISTINCT FROM pg_current_xact_id_if_assigned()::xid
      ) THEN
        refused := true;
      END IF;
    WHEN 'operator' THEN
      SELECT true, (o.status <> 'active' OR s.id IS NULL) AND NOT own.written,
        own.written OR context -> 'callers' ? ('operator:' || o.role)
      INTO present, refused, allowed
      FROM operators o
      LEFT JOIN operator_sessions s ON s.id = session AND s.operator_id = o.id AND s.expires_at > clock_timestamp()
        AND (s.ended_at IS NULL OR s.xmin = pg_current_xact_id_if_assigned()::xid)
      CROSS JOIN LATERAL (SELECT o.xmin = pg_current_xact_id_if_assigned()::xid IS TRUE AS written) own
      WHERE o.id = number;
    WHEN 'key' THEN
      SELECT true, (k.revoked_at IS NOT NULL OR k.expires_at <= clock_timestamp()) IS TRUE,
        EXISTS (SELECT FROM unnest(k.scopes) scope WHERE context -> 'callers' ? ('key:' || scope))
      INTO present, refused, allowed
      FROM api_keys k WHERE k.id = number;
    ELSE
      -- A visitor has not signed in, and the system is the API's own work: there is nothing to look up.
      RETURN;
  END CASE;
  IF present IS NOT TRUE OR refused THEN
    RAISE EXCEPTION 'the actor is not active, or the session has ended' USING ERRCODE = 'AF401';
  END IF;
  IF NOT allowed THEN
    RAISE EXCEPTION 'the role of the actor does not allow this' USING ERRCODE = 'AF403';
  END IF;
END
$$;

-- For the first part of a writing statement: checks the actor, and says to the triggers who acts.
CREATE FUNCTION actor_enter(context jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM actor_check(context);
  PERFORM set_config('audit.context', context::text, true);
  RETURN true;
END
$$;
