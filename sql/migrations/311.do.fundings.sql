-- Deposits and withdrawals that an operator asked for and another operator has to approve (FUNDING_APPROVAL_MINOR). The
-- engine moves the money under movement_id, which is one id for the life of the row: repeats move nothing more. A row
-- goes pending → approved → done or refused, or pending → rejected or expired, and never back.
CREATE TABLE fundings (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id text NOT NULL UNIQUE,
  account_id bigint NOT NULL REFERENCES accounts (id),
  direction text NOT NULL CHECK (direction IN ('deposit', 'withdrawal')),
  -- Minor units of the account's currency.
  amount bigint NOT NULL CHECK (amount > 0),
  movement_id text NOT NULL UNIQUE,
  status text NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'approved', 'done', 'refused', 'rejected', 'expired')),
  requested_by bigint NOT NULL REFERENCES operators (id),
  requested_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  decided_by bigint REFERENCES operators (id),
  decided_at timestamptz,
  -- Why it was rejected, or the ledger's reason.
  reason text,
  CONSTRAINT fundings_second_operator CHECK (decided_by <> requested_by),
  CONSTRAINT fundings_decided CHECK (
    (status IN ('pending', 'expired')) = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)
  )
);
CREATE INDEX fundings_open ON fundings (expires_at) WHERE status = 'pending';
CREATE INDEX fundings_account ON fundings (account_id, id DESC);

-- Each step is an entry of the audit trail. The operator of a step is the one who acts: no operator approves in
-- another's name.
CREATE FUNCTION audit_funding() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  context jsonb := audit_context();
  operator constant bigint := CASE context ->> 'kind' WHEN 'operator' THEN (context ->> 'number')::bigint END;
  before jsonb;
  after jsonb := jsonb_build_object('status', NEW.status);
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.status <> 'pending' OR operator IS DISTINCT FROM NEW.requested_by AND context ->> 'kind' <> 'database' THEN
      RAISE EXCEPTION 'a funding begins pending, in the name of the operator who asks' USING ERRCODE = 'AF403';
    END IF;
    after := after || jsonb_build_object('direction', NEW.direction, 'amount', NEW.amount, 'movement', NEW.movement_id,
      'account', (SELECT a.public_id FROM accounts a WHERE a.id = NEW.account_id));
  ELSE
    IF NEW.status IS NOT DISTINCT FROM OLD.status THEN
      RAISE EXCEPTION 'a funding changes by its status alone' USING ERRCODE = 'AF403';
    END IF;
    IF NOT (OLD.status, NEW.status) IN (('pending', 'approved'), ('pending', 'rejected'), ('pending', 'expired'),
      ('approved', 'done'), ('approved', 'refused'))
    THEN
      RAISE EXCEPTION 'a funding never goes from % to %', OLD.status, NEW.status USING ERRCODE = 'AF403';
    END IF;
    IF NEW.status IN ('approved', 'rejected') AND operator IS DISTINCT FROM NEW.decided_by THEN
      RAISE EXCEPTION 'a funding is decided by the operator who acts' USING ERRCODE = 'AF403';
    END IF;
    IF OLD.decided_by IS NOT NULL
      AND (NEW.decided_by, NEW.decided_at) IS DISTINCT FROM (OLD.decided_by, OLD.decided_at)
    THEN
      RAISE EXCEPTION 'a decision about a funding stays as it is' USING ERRCODE = 'AF403';
    END IF;
    before := jsonb_build_object('status', OLD.status);
    IF NEW.reason IS NOT NULL THEN
      after := after || jsonb_build_object('reason', NEW.reason);
    END IF;
  END IF;
  PERFORM audit_append(context, 'funding.' || CASE TG_OP WHEN 'INSERT' THEN 'requested' ELSE NEW.status END, 'funding',
    NEW.public_id, before, after);
  RETURN NULL;
END
$$;
CREATE TRIGGER audit_funding AFTER INSERT OR UPDATE ON fundings FOR EACH ROW EXECUTE FUNCTION audit_funding();
