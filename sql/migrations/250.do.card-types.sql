-- Types of cards, and cards that replace others.
ALTER TABLE cards
  ADD COLUMN type text NOT NULL DEFAULT 'virtual' CHECK (type IN ('virtual', 'single_use', 'merchant_locked')),
  -- The first of the cards that this one replaced, in whose spend windows it counts; null: it replaced none.
  ADD COLUMN spend_of bigint REFERENCES cards (id),
  -- The card that took this one's place, and why.
  ADD COLUMN replaced_by bigint REFERENCES cards (id),
  ADD COLUMN replaced_for text CHECK (replaced_for IN ('lost', 'stolen', 'damaged')),
  ADD CONSTRAINT cards_replaced CHECK ((replaced_by IS NULL) = (replaced_for IS NULL)),
  ADD CONSTRAINT cards_replaced_closed CHECK (replaced_by IS NULL OR status = 'closed');
CREATE UNIQUE INDEX cards_replaced_by ON cards (replaced_by) WHERE replaced_by IS NOT NULL;
CREATE INDEX cards_spend_of ON cards (spend_of) WHERE spend_of IS NOT NULL;

-- What a card that is not virtual has bought, by the number that keys its spend windows: purchases of which only take-backs
-- are undone, and the merchant of the first one that named one. Settled with the journal, like the windows.
CREATE TABLE card_uses (
  card_id bigint PRIMARY KEY,
  uses integer NOT NULL CHECK (uses > 0),
  merchant_id text NOT NULL
);

-- Adds purchases, in rounds in which a card occurs once: as usedAgain() in engine/core/card-types.ts.
CREATE FUNCTION settle_uses(u_round integer[], u_card bigint[], u_delta integer[], u_merchant text[]) RETURNS boolean
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
  of_round integer;
BEGIN
  FOR of_round IN SELECT DISTINCT r.round FROM unnest(u_round) r (round) ORDER BY r.round LOOP
    WITH used AS (
      SELECT u.card, u.delta, u.merchant FROM unnest(u_round, u_card, u_delta, u_merchant) u (round, card, delta, merchant)
      WHERE u.round = of_round
    ), ended AS (
      DELETE FROM card_uses c USING used u WHERE c.card_id = u.card AND c.uses + u.delta <= 0
    )
    INSERT INTO card_uses AS c (card_id, uses, merchant_id)
    SELECT u.card, u.delta, u.merchant FROM used u WHERE u.delta > 0
    ON CONFLICT (card_id) DO UPDATE SET
      uses = c.uses + excluded.uses,
      merchant_id = CASE WHEN c.merchant_id = '' THEN excluded.merchant_id ELSE c.merchant_id END;
    UPDATE card_uses c SET uses = c.uses + u.delta
    FROM unnest(u_round, u_card, u_delta) u (round, card, delta)
    WHERE u.round = of_round AND u.delta < 0 AND c.card_id = u.card AND c.uses + u.delta > 0;
  END LOOP;
  RETURN true;
END
$$;

-- As in 030, with the type and the number that keys the spend windows.
CREATE OR REPLACE FUNCTION card_profile(c cards) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('token', c.token, 'number', c.id, 'version', c.version, 'status', c.status,
    'expiresDay', c.expires - date '1970-01-01', 'limits', l.limits, 'accountNumber', c.account_id,
    'userNumber', c.user_id, 'ownerKey', a.owner_key, 'id', c.public_id, 'name', c.name,
    'type', c.type, 'spendNumber', coalesce(c.spend_of, c.id))
  FROM accounts a LEFT JOIN limits l ON l.level = 0 AND l.entity_id = c.id WHERE a.id = c.account_id
$$;

-- What a card has bought is counted from its first purchase on, and only where its type asks for that.
CREATE TRIGGER keep_type BEFORE UPDATE OF type, spend_of ON cards
FOR EACH ROW WHEN ((NEW.type, NEW.spend_of) IS DISTINCT FROM (OLD.type, OLD.spend_of))
EXECUTE FUNCTION refuse_change('type and spend windows', 'close this card and make another');
