-- Sign-ins. One row per sign-in and its chain of refresh tokens: only the newest token of the chain is good, and an older
-- one that comes back ends the chain, for it was stolen (or its successor was).
CREATE TABLE sessions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  -- First half of every token of the chain, random: says which chain, proves nothing.
  key bytea NOT NULL UNIQUE,
  -- SHA-256 of the second half of the newest one.
  secret_hash bytea NOT NULL,
  ended_at timestamptz,
  end_reason text CHECK (end_reason IN ('logout', 'reuse')),
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((ended_at IS NULL) = (end_reason IS NULL))
  -- Room on the page: a refresh changes the row in place.
) WITH (fillfactor = 80);

CREATE INDEX sessions_user ON sessions (user_id, id DESC);
CREATE INDEX sessions_expiry ON sessions (expires_at);
