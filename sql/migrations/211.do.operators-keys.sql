-- Principals of the program itself, beside its customers: operators (people) and API keys (programs).

-- One row that says what this database is for.
CREATE TABLE program (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- Demo data: customers may fund themselves here when SELF_FUNDING says so, and nowhere else.
  demo boolean NOT NULL
);
INSERT INTO program (demo) VALUES (false);

CREATE TABLE operators (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id text NOT NULL UNIQUE,
  email text NOT NULL UNIQUE CHECK (email = lower(email)),
  name text NOT NULL,
  -- viewer reads; support and risk act on customers; admin also moves money and makes keys.
  role text NOT NULL CHECK (role IN ('viewer', 'support', 'risk', 'admin')),
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'closed')),
  password_hash text NOT NULL,
  -- Base32, RFC 6238. Null: the demo's operator, who signs in without.
  totp_secret text,
  -- The newest time step whose code was taken: a code is good once.
  totp_step bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE operator_sessions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  operator_id bigint NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
  -- SHA-256 of the token, which has 256 bits.
  token_hash bytea NOT NULL UNIQUE,
  address text NOT NULL,
  network text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  ended_at timestamptz
);
CREATE INDEX operator_sessions_operator ON operator_sessions (operator_id, id DESC);
CREATE INDEX operator_sessions_expiry ON operator_sessions (expires_at);

CREATE TABLE api_keys (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id text NOT NULL UNIQUE,
  name text NOT NULL,
  -- SHA-256 of the key, which is shown once.
  key_hash bytea NOT NULL UNIQUE,
  -- Its first characters, to tell keys apart.
  hint text NOT NULL,
  scopes text[] NOT NULL,
  created_by bigint NOT NULL REFERENCES operators (id),
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  -- Null: until it is revoked.
  expires_at timestamptz,
  revoked_at timestamptz
);

-- Keys of idempotent requests belong to whoever sent them: a user, an operator or an API key.
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey;
ALTER TABLE idempotency_keys ADD COLUMN owner text;
UPDATE idempotency_keys SET owner = 'user ' || user_id;
ALTER TABLE idempotency_keys
  ALTER COLUMN owner SET NOT NULL,
  DROP COLUMN user_id,
  ADD PRIMARY KEY (owner, key);
