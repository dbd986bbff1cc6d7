-- An engine keeps whose a card is and where money belongs for as long as it runs: it decides by the token, and an account's
-- currency and owner choose its books and its partition. A change of these would be followed by no engine: the old token
-- would go on approving even once the card is frozen, and a card that was moved would spend from the old account. So the
-- database refuses them; what is to be different is a new card, user or account. Everything else that makes a new version
-- (status, name, expiry, time zone, partial approval, limits) is applied.
CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % cannot be changed: %', TG_ARGV[0], TG_TABLE_NAME, TG_ARGV[1]
    USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER keep_identity BEFORE UPDATE OF token, account_id, user_id ON cards
FOR EACH ROW WHEN ((NEW.token, NEW.account_id, NEW.user_id) IS DISTINCT FROM (OLD.token, OLD.account_id, OLD.user_id))
EXECUTE FUNCTION refuse_change('token, account and user', 'close this card and make another');
CREATE TRIGGER keep_identity BEFORE UPDATE OF kind, company_id ON users
FOR EACH ROW WHEN ((NEW.kind, NEW.company_id) IS DISTINCT FROM (OLD.kind, OLD.company_id))
EXECUTE FUNCTION refuse_change('kind and company', 'close this user and make another');
CREATE TRIGGER keep_identity BEFORE UPDATE OF public_id, kind, company_id, user_id, owner_key, currency ON accounts
FOR EACH ROW WHEN (
  (NEW.public_id, NEW.kind, NEW.company_id, NEW.user_id, NEW.owner_key, NEW.currency)
  IS DISTINCT FROM (OLD.public_id, OLD.kind, OLD.company_id, OLD.user_id, OLD.owner_key, OLD.currency))
EXECUTE FUNCTION refuse_change('public id, kind, owner and currency', 'close this account and make another');
-- The feed follows what limits say, and who had them: an owner's new version carries what its own row says.
CREATE TRIGGER keep_identity BEFORE UPDATE OF level, entity_id ON limits
FOR EACH ROW WHEN ((NEW.level, NEW.entity_id) IS DISTINCT FROM (OLD.level, OLD.entity_id))
EXECUTE FUNCTION refuse_change('level and entity', 'delete these limits, and insert the others');
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON limits
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('all rows', 'no engine would be told; use DELETE');

-- Engines ignore what is not newer than what they have: a version that goes back would hide its change from them.
CREATE TRIGGER keep_version BEFORE UPDATE OF version ON cards
FOR EACH ROW WHEN (NEW.version < OLD.version) EXECUTE FUNCTION refuse_change('version', 'it only rises');
CREATE TRIGGER keep_version BEFORE UPDATE OF version ON users
FOR EACH ROW WHEN (NEW.version < OLD.version) EXECUTE FUNCTION refuse_change('version', 'it only rises');
CREATE TRIGGER keep_version BEFORE UPDATE OF version ON accounts
FOR EACH ROW WHEN (NEW.version < OLD.version) EXECUTE FUNCTION refuse_change('version', 'it only rises');
