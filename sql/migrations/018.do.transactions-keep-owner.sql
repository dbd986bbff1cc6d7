-- A transaction never changes hands. settle() rewrites the owner of one kind of row only: a tombstone (a reversal, type 3,
-- that came before its authorization), which carries no money, becomes the declined authorization. Anything else would
-- show one account's money as another's, so it stops the settling instead. Fires for statements that write account_id,
-- and there only for rows that were there before: settling pays nothing for it.
CREATE FUNCTION refuse_transaction_owner_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'transaction % of account % cannot become one of account %',
    OLD.id, coalesce(OLD.account_id::text, 'none'), coalesce(NEW.account_id::text, 'none');
END
$$;

CREATE TRIGGER transactions_keep_owner BEFORE UPDATE OF account_id ON transactions
FOR EACH ROW
WHEN (
  OLD.type <> 3 OR OLD.held_amount <> 0 OR OLD.posted_amount <> 0 OR OLD.refunded_amount <> 0
)
EXECUTE FUNCTION refuse_transaction_owner_change();
