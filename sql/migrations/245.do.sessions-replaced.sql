-- Tokens that were replaced within the grace of a refresh token, before the one in previous_hash: an app that refreshes
-- several times within moments may still send any of them. The SHA-256 of each secret, in hex, and since when it is
-- replaced.
ALTER TABLE sessions ADD COLUMN replaced_before jsonb NOT NULL DEFAULT '{}';
