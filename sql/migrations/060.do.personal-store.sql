-- The personal store where there is no MongoDB: the same documents, one row each. Nothing refers to these tables and they
-- refer to nothing: they stand for another database. `cards` and `limits` hold what the relay copied from here.
CREATE TABLE personal_users (
  user_id text PRIMARY KEY,
  document jsonb NOT NULL CHECK (jsonb_typeof(document) = 'object'),
  created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX personal_users_email ON personal_users ((document ->> 'email'));
CREATE INDEX personal_users_kyc ON personal_users ((document ->> 'kycStatus'), created_at DESC);

CREATE TABLE personal_cards (
  card_id text PRIMARY KEY,
  user_id text NOT NULL,
  document jsonb NOT NULL CHECK (jsonb_typeof(document) = 'object'),
  version integer NOT NULL CHECK (version > 0),
  created_at timestamptz NOT NULL,
  -- Since when the newest version waits to be published; null: it is.
  pending_since timestamptz
);
CREATE INDEX personal_cards_user_status ON personal_cards (user_id, (document ->> 'status'));
CREATE INDEX personal_cards_user_created ON personal_cards (user_id, created_at DESC, card_id DESC);
CREATE INDEX personal_cards_pending ON personal_cards (pending_since) WHERE pending_since IS NOT NULL;
