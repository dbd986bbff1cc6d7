-- Tells the API's processes which owner's cards or accounts have changed, when the change is committed. Fired by a new
-- version only: settling the books changes accounts all the time and is no news.
CREATE FUNCTION cache_card() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('cache', 'cards:' || owner_key) FROM accounts WHERE id = NEW.account_id;
  RETURN NULL;
END
$$;

CREATE FUNCTION cache_account() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('cache', 'accounts:' || NEW.owner_key);
  RETURN NULL;
END
$$;

CREATE TRIGGER cache AFTER UPDATE ON cards
FOR EACH ROW WHEN (NEW.version <> OLD.version) EXECUTE FUNCTION cache_card();
CREATE TRIGGER cache AFTER UPDATE ON accounts
FOR EACH ROW WHEN (NEW.version <> OLD.version) EXECUTE FUNCTION cache_account();
