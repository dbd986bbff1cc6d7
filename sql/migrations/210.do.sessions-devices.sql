-- What an owner is shown of a sign-in, and the grace of a refresh token.
--
-- A refresh that two requests of one device send at the same time must give both the same successor. The successor's
-- secret is sha256(salt || proof), where the proof is a hash of the secret that it replaces: the same token leads to the
-- same successor, and neither the row alone nor an old token alone gives a token.
ALTER TABLE sessions
  -- 16 random characters name the session outside.
  ADD COLUMN public_id text,
  -- Null: a session from before this migration, or one opened without a request.
  ADD COLUMN address text,
  -- The address' network: see api/auth/networks.ts.
  ADD COLUMN network text,
  ADD COLUMN user_agent text,
  ADD COLUMN last_seen_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN salt bytea,
  -- SHA-256 of the secret that the newest one replaced, and since when it is replaced.
  ADD COLUMN previous_hash bytea,
  ADD COLUMN replaced_at timestamptz;

-- Random by version 4; rows from before need no more than to be told apart.
UPDATE sessions SET
  public_id = replace(gen_random_uuid()::text, '-', ''),
  salt = decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');

ALTER TABLE sessions
  ALTER COLUMN public_id SET NOT NULL,
  ALTER COLUMN salt SET NOT NULL,
  ADD CONSTRAINT sessions_public_id_key UNIQUE (public_id),
  DROP CONSTRAINT sessions_end_reason_check,
  ADD CONSTRAINT sessions_end_reason_check CHECK (end_reason IN ('logout', 'reuse', 'owner'));
