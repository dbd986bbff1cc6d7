-- Locks a card for a change and returns it as it is then, with its limits. Whoever changes a card judges the change by
-- this row, so that changes of one card at the same time wait for each other and none of them has to be tried again. The
-- statement that calls this must write by what it returns: the statement's own snapshot may be older than the lock.
CREATE FUNCTION lock_card(card_id bigint) RETURNS TABLE (card cards, limits jsonb)
LANGUAGE plpgsql
-- A lock that somebody else keeps must end as a refusal that says so, below the limit on a statement.
SET lock_timeout = '2s'
AS $$
BEGIN
  SELECT c.* INTO card FROM cards c WHERE c.id = card_id FOR UPDATE;
  -- A statement of its own: its snapshot was taken when the lock was there.
  SELECT l.limits INTO limits FROM limits l WHERE l.level = 0 AND l.entity_id = card_id;
  RETURN NEXT;
END
$$;
