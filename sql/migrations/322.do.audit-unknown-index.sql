-- For operators who list what has no outcome. A migration of its own: it reads the whole trail, and only the sealing of
-- new entries waits for that.
CREATE INDEX audit_trail_unknown ON audit_trail (id DESC) WHERE outcome = 'unknown';
