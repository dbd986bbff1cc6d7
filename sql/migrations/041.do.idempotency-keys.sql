-- Answers of POST requests that named an Idempotency-Key: the same key gets the same answer, for a day.
CREATE TABLE idempotency_keys (
  user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  key text NOT NULL,
  -- SHA-256 of route, path and body: the same key with another input is refused.
  input_hash bytea NOT NULL,
  -- Names the effect: the same for every execution of the key, so that one after a crash finds what the first one did.
  operation uuid NOT NULL DEFAULT gen_random_uuid(),
  -- Who executes it; random, so that an execution that was given up cannot answer for the one that took over.
  claim uuid NOT NULL,
  -- Beyond this the execution is given up (it failed, or its process died) and may be taken over.
  claimed_until timestamptz NOT NULL,
  -- Null while it runs.
  status smallint,
  headers jsonb,
  body text,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
