-- What the trail records of rows: triggers write the entries, so that no statement can forget them.

-- Who acts, checked once more. The row's locks are taken by now, so a block that this statement waited for is seen.
-- Connections that set audit.required write nothing without actor_enter(): those of the API.
CREATE FUNCTION audit_context() RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  context text := current_setting('audit.context', true);
BEGIN
  IF coalesce(context, '') = '' THEN
    IF current_setting('audit.required', true) = 'on' THEN
      RAISE EXCEPTION 'a statement writes without an actor: begin it with actor_enter()';
    END IF;
    RETURN jsonb_build_object('kind', 'database', 'id', session_user);
  END IF;
  PERFORM actor_check(context::jsonb);
  RETURN context::jsonb;
END
$$;

CREATE FUNCTION audit_append(
  context jsonb, action text, object_kind text, object_id text, before jsonb, after jsonb, outcome text DEFAULT 'done'
) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  INSERT INTO audit_fresh
    (actor_kind, actor_id, address, request_id, action, object_kind, object_id, before, after, outcome)
  VALUES (context ->> 'kind', left(context ->> 'id', 100), left(context ->> 'address', 64),
    left(context ->> 'request', 100), left(action, 100), object_kind, left(object_id, 100), audit_bounded(before),
    audit_bounded(after), outcome)
$$;

-- An event that is no change of a row. @returns true
CREATE FUNCTION audit_record(
  context jsonb, action text, object_kind text, object_id text, before jsonb, after jsonb, outcome text DEFAULT 'done'
) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM actor_enter(context);
  PERFORM audit_append(context, action, object_kind, object_id, before, after, outcome);
  RETURN true;
END
$$;

-- What may be shown of a row. Everything else, secrets and personal data above all, is shown as changed without a value.
CREATE FUNCTION audit_shown(kind text, entity jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(entity)
  WHERE key IN ('status', 'role', 'kyc_status', 'kind', 'type', 'currency', 'time_zone', 'partial_approval', 'scopes',
      'expires', 'expires_at', 'revoked_at', 'limits', 'replaced_for')
    OR key = 'name' AND kind IN ('card', 'company', 'key')
$$;

CREATE FUNCTION audit_changed() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  kind constant text := TG_ARGV[0];
  context jsonb := audit_context();
  old_row jsonb := to_jsonb(OLD);
  new_row jsonb := to_jsonb(NEW);
  role text;
  changed text[];
  before jsonb;
  after jsonb;
  action text;
BEGIN
  -- The actor's own row: what it was before this statement decides.
  IF kind = context ->> 'kind' AND old_row ->> 'id' = context ->> 'number' AND kind IN ('user', 'operator') THEN
    IF old_row ->> 'status' <> 'active' THEN
      RAISE EXCEPTION 'the actor is not active' USING ERRCODE = 'AF401';
    END IF;
    role := CASE kind WHEN 'user' THEN coalesce(old_row ->> 'role', 'personal') ELSE 'operator:' || (old_row ->> 'role') END;
    IF NOT context -> 'callers' ? role THEN
      RAISE EXCEPTION 'the role of the actor does not allow this' USING ERRCODE = 'AF403';
    END IF;
  END IF;
  SELECT array_agg(n.key) INTO changed FROM jsonb_each(new_row) n
  WHERE n.value IS DISTINCT FROM old_row -> n.key
    AND n.key NOT IN ('version', 'updated_at', 'last_used_at', 'last_seen_at', 'totp_step');
  IF changed IS NULL THEN
    RETURN NULL;
  END IF;
  before := audit_shown(kind, (SELECT jsonb_object_agg(key, old_row -> key) FROM unnest(changed) key));
  after := audit_shown(kind, (SELECT jsonb_object_agg(key, new_row -> key) FROM unnest(changed) key));
  after := (SELECT jsonb_object_agg(key, '(changed)') FROM unnest(changed) key) || after;
  action := kind || CASE
    WHEN 'status' = ANY (changed) THEN '.' || CASE new_row ->> 'status'
      WHEN 'active' THEN CASE old_row ->> 'status' WHEN 'frozen' THEN 'unfrozen' ELSE 'activated' END
      ELSE new_row ->> 'status' END
    WHEN 'role' = ANY (changed) THEN '.role_changed'
    WHEN 'kyc_status' = ANY (changed) THEN '.kyc_changed'
    WHEN 'password_hash' = ANY (changed) THEN '.password_changed'
    WHEN 'revoked_at' = ANY (changed) THEN '.revoked'
    ELSE '.changed' END;
  PERFORM audit_append(context, action, kind, new_row ->> 'public_id', before, after);
  RETURN NULL;
END
$$;

-- Rows that came or went, all of one statement: many at once, as a tool loads them, get one entry with their number.
CREATE FUNCTION audit_came_or_went() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  kind constant text := TG_ARGV[0];
  action constant text := kind || CASE TG_OP WHEN 'INSERT' THEN '.created' ELSE '.deleted' END;
  context jsonb;
  number bigint;
  entity jsonb;
  shown jsonb;
BEGIN
  SELECT count(*) INTO number FROM affected;
  IF number = 0 THEN
    RETURN NULL;
  END IF;
  context := audit_context();
  IF number > 100 THEN
    PERFORM audit_append(context, action, kind, NULL, NULL, jsonb_build_object('rows', number));
    RETURN NULL;
  END IF;
  FOR entity IN SELECT to_jsonb(a) FROM affected a LOOP
    shown := audit_shown(kind, entity);
    IF kind = 'card' THEN
      shown := shown || jsonb_build_object(
        'account', (SELECT a.public_id FROM accounts a WHERE a.id = (entity ->> 'account_id')::bigint),
        'user', (SELECT u.public_id FROM users u WHERE u.id = (entity ->> 'user_id')::bigint));
    ELSIF entity ->> 'company_id' IS NOT NULL THEN
      shown := shown || jsonb_build_object(
        'company', (SELECT c.public_id FROM companies c WHERE c.id = (entity ->> 'company_id')::bigint));
    END IF;
    PERFORM audit_append(context, action, kind, entity ->> 'public_id', CASE TG_OP WHEN 'DELETE' THEN shown END,
      CASE TG_OP WHEN 'INSERT' THEN shown END);
  END LOOP;
  RETURN NULL;
END
$$;

CREATE TRIGGER audit_changed AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION audit_changed('user');
CREATE TRIGGER audit_came AFTER INSERT ON users REFERENCING NEW TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('user');
CREATE TRIGGER audit_went AFTER DELETE ON users REFERENCING OLD TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('user');

CREATE TRIGGER audit_changed AFTER UPDATE ON companies FOR EACH ROW EXECUTE FUNCTION audit_changed('company');
CREATE TRIGGER audit_came AFTER INSERT ON companies REFERENCING NEW TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('company');
CREATE TRIGGER audit_went AFTER DELETE ON companies REFERENCING OLD TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('company');

-- By column: settling writes the books of accounts all the time, and the ledger has its own record of those.
CREATE TRIGGER audit_changed AFTER UPDATE OF status, time_zone, partial_approval ON accounts
FOR EACH ROW EXECUTE FUNCTION audit_changed('account');
CREATE TRIGGER audit_came AFTER INSERT ON accounts REFERENCING NEW TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('account');
CREATE TRIGGER audit_went AFTER DELETE ON accounts REFERENCING OLD TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('account');

CREATE TRIGGER audit_changed AFTER UPDATE ON cards FOR EACH ROW EXECUTE FUNCTION audit_changed('card');
CREATE TRIGGER audit_came AFTER INSERT ON cards REFERENCING NEW TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('card');
CREATE TRIGGER audit_went AFTER DELETE ON cards REFERENCING OLD TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('card');

-- Not by UPDATE OF: a code that is taken and a use that is noted change columns that are left out above.
CREATE TRIGGER audit_changed AFTER UPDATE ON operators
FOR EACH ROW WHEN (NEW.totp_step = OLD.totp_step) EXECUTE FUNCTION audit_changed('operator');
CREATE TRIGGER audit_came AFTER INSERT ON operators REFERENCING NEW TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('operator');
CREATE TRIGGER audit_went AFTER DELETE ON operators REFERENCING OLD TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('operator');

CREATE TRIGGER audit_changed AFTER UPDATE ON api_keys
FOR EACH ROW WHEN (NEW.last_used_at IS NOT DISTINCT FROM OLD.last_used_at) EXECUTE FUNCTION audit_changed('key');
CREATE TRIGGER audit_came AFTER INSERT ON api_keys REFERENCING NEW TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('key');
CREATE TRIGGER audit_went AFTER DELETE ON api_keys REFERENCING OLD TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('key');

-- Accepting and withdrawing an invitation, and lapsing, all end in its row's deletion; with an acceptance comes a user.
CREATE TRIGGER audit_changed AFTER UPDATE ON invitations FOR EACH ROW EXECUTE FUNCTION audit_changed('invitation');
CREATE TRIGGER audit_came AFTER INSERT ON invitations REFERENCING NEW TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('invitation');
CREATE TRIGGER audit_went AFTER DELETE ON invitations REFERENCING OLD TABLE AS affected
FOR EACH STATEMENT EXECUTE FUNCTION audit_came_or_went('invitation');

-- Limits are their owner's: an entry names the card, user or account.
CREATE FUNCTION audit_limits() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  kind text;
  owner bigint;
  owner_id text;
BEGIN
  IF TG_OP = 'DELETE' THEN
    kind := (ARRAY['card', 'user', 'account'])[OLD.level + 1];
    owner := OLD.entity_id;
  ELSE
    kind := (ARRAY['card', 'user', 'account'])[NEW.level + 1];
    owner := NEW.entity_id;
  END IF;
  owner_id := CASE kind
    WHEN 'card' THEN (SELECT c.public_id FROM cards c WHERE c.id = owner)
    WHEN 'user' THEN (SELECT u.public_id FROM users u WHERE u.id = owner)
    ELSE (SELECT a.public_id FROM accounts a WHERE a.id = owner) END;
  PERFORM audit_append(audit_context(), kind || '.limits_changed', kind, owner_id,
    CASE WHEN TG_OP <> 'INSERT' THEN OLD.limits END, CASE WHEN TG_OP <> 'DELETE' THEN NEW.limits END);
  RETURN NULL;
END
$$;
CREATE TRIGGER audit_new AFTER INSERT OR DELETE ON limits FOR EACH ROW EXECUTE FUNCTION audit_limits();
CREATE TRIGGER audit_changed AFTER UPDATE ON limits
FOR EACH ROW WHEN (NEW.limits IS DISTINCT FROM OLD.limits) EXECUTE FUNCTION audit_limits();

-- Sign-ins of customers. The statement that opens a session is a visitor's, and makes them the user.
CREATE FUNCTION audit_session() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  context jsonb := audit_context();
  id text := (SELECT u.public_id FROM users u WHERE u.id = NEW.user_id);
BEGIN
  IF context ->> 'kind' = 'visitor' THEN
    context := context || jsonb_build_object('kind', 'user', 'id', id);
  END IF;
  IF TG_OP = 'INSERT' THEN
    PERFORM audit_append(context, 'user.signed_in', 'user', id, NULL, jsonb_build_object('session', NEW.public_id));
  ELSE
    PERFORM audit_append(context, CASE NEW.end_reason WHEN 'logout' THEN 'user.signed_out' ELSE 'user.session_ended' END,
      'user', id, NULL, jsonb_build_object('session', NEW.public_id, 'reason', NEW.end_reason));
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER audit_opened AFTER INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION audit_session();
CREATE TRIGGER audit_ended AFTER UPDATE OF ended_at ON sessions
FOR EACH ROW WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION audit_session();

CREATE FUNCTION audit_operator_session() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  context jsonb := audit_context();
  id text := (SELECT o.public_id FROM operators o WHERE o.id = NEW.operator_id);
BEGIN
  IF context ->> 'kind' = 'visitor' THEN
    context := context || jsonb_build_object('kind', 'operator', 'id', id);
  END IF;
  PERFORM audit_append(context, CASE TG_OP WHEN 'INSERT' THEN 'operator.signed_in' ELSE 'operator.signed_out' END,
    'operator', id, NULL, NULL);
  RETURN NULL;
END
$$;
CREATE TRIGGER audit_opened AFTER INSERT ON operator_sessions FOR EACH ROW EXECUTE FUNCTION audit_operator_session();
CREATE TRIGGER audit_ended AFTER UPDATE OF ended_at ON operator_sessions
FOR EACH ROW WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION audit_operator_session();
