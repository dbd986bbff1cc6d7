-- Counts against a cap, each behind a lock that lasts until the end of the transaction: creations under one cap come one
-- after the other, so that none is counted too late. The statement that calls one of these must judge by what it returns:
-- the statement's own snapshot may be older than the lock.
--
-- The locks are advisory and of these functions alone. No row of a company or a user is locked, so that a freeze, a block
-- or another change of theirs never waits for creations. Each statement takes its lock before it writes any row.

-- Cards of an owner that are not closed.
CREATE FUNCTION open_cards_locked(owner bigint) RETURNS integer
LANGUAGE plpgsql VOLATILE
-- A lock that is kept for long must end as a refusal that says so, below the limit on a statement.
SET lock_timeout = '2s'
AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('cards of ' || owner, 0));
  -- A statement of its own: its snapshot is taken when the lock is there.
  RETURN (
    SELECT count(*) FROM cards c JOIN accounts a ON a.id = c.account_id
    WHERE a.owner_key = owner AND c.status <> 'closed'
  );
END
$$;

-- Users of a company that are not closed, and its living invitations of other addresses than this one.
CREATE FUNCTION members_locked(company bigint, address text) RETURNS TABLE (members integer, pending integer)
LANGUAGE plpgsql VOLATILE
SET lock_timeout = '2s'
AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('users of ' || company, 0));
  RETURN QUERY SELECT
    (SELECT count(*)::integer FROM users u WHERE u.company_id = company AND u.status <> 'closed'),
    (SELECT count(*)::integer FROM invitations i
      WHERE i.company_id = company AND i.expires_at > now() AND i.email <> address);
END
$$;

-- API keys that are neither revoked nor lapsed.
CREATE FUNCTION living_keys_locked() RETURNS integer
LANGUAGE plpgsql VOLATILE
SET lock_timeout = '2s'
AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('keys', 0));
  RETURN (SELECT count(*) FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()));
END
$$;
