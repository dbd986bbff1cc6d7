-- The rows of `cards` are the cards, for people as for companies. Where there is no MongoDB, documents beside them serve
-- nothing: names and addresses are in `users`. A change that was accepted and not yet published is published here.
UPDATE cards c SET status = p.document ->> 'status', name = p.document ->> 'name', version = p.version
FROM personal_cards p
WHERE p.pending_since IS NOT NULL AND c.public_id = p.card_id AND c.version < p.version;
INSERT INTO limits AS l (level, entity_id, limits)
SELECT 0, c.id, p.document -> 'limits' FROM personal_cards p JOIN cards c ON c.public_id = p.card_id
WHERE p.pending_since IS NOT NULL AND c.version = p.version
ON CONFLICT (level, entity_id) DO UPDATE SET limits = excluded.limits, version = l.version + 1;
DROP TABLE personal_cards;
DROP TABLE personal_users;
