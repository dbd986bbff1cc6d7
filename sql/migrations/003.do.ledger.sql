-- The settled ledger. Written by settle() from the engine's journal, one row per message and one per chain. No foreign
-- keys: the engine has checked the owner, settle() checks that every account exists, and a look-up per row would cost
-- more than the row.

-- One row per chain: an authorization (or a message that stands alone) and everything that followed it. Codes are the
-- numbers of engine/core: type = MessageType, status = ChainStatus (1 pending, 2 completed, 3 reversed, 4 expired,
-- 5 declined), reason, detail, channel. Amounts in minor units of `currency`. Wide columns first: no padding.
CREATE TABLE transactions (
  id text NOT NULL,
  -- Null when the card was not found.
  account_id bigint,
  card_id bigint,
  user_id bigint,
  -- Asked and approved, increments included.
  amount bigint NOT NULL,
  approved_amount bigint NOT NULL,
  held_amount bigint NOT NULL CHECK (held_amount >= 0),
  -- Cleared − refunded.
  posted_amount bigint NOT NULL,
  refunded_amount bigint NOT NULL,
  -- What the newest day of the chain still holds of its windows: see spend.ts in engine/core.
  newest_spend_amount bigint NOT NULL,
  expires_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  partition integer NOT NULL,
  -- Local days since 1970-01-01.
  spend_day integer NOT NULL,
  newest_spend_day integer NOT NULL,
  type smallint NOT NULL,
  status smallint NOT NULL CHECK (status BETWEEN 1 AND 5),
  reason smallint NOT NULL,
  detail smallint NOT NULL,
  mcc smallint,
  channel smallint NOT NULL,
  -- A clearing or advice that was posted without an authorization.
  forced boolean NOT NULL,
  currency char(3),
  country char(2),
  merchant_id text,
  merchant_name text,
  PRIMARY KEY (id)
);

-- One row per journaled message, refusals and internal messages (expiry, late) included. The four legs are the double
-- entry: they sum to zero. Everything else that was asked and answered stands in `record`, the journal's own bytes
-- (engine/core/record.ts), from which a repeated id is answered years later.
CREATE TABLE transaction_events (
  sequence bigint NOT NULL,
  account_id bigint,
  card_id bigint,
  user_id bigint,
  -- What the message asked for; null when it carries no amount.
  amount bigint,
  approved_amount bigint NOT NULL,
  available_delta bigint NOT NULL,
  held_delta bigint NOT NULL,
  posted_delta bigint NOT NULL,
  -- The world outside the account: what it received minus what it gave.
  external_delta bigint NOT NULL,
  -- hash64 of the request id (engine/core/hash.ts): loaded in bulk by an engine that starts.
  id_hash bigint,
  at timestamptz NOT NULL,
  partition integer NOT NULL,
  type smallint NOT NULL,
  protocol smallint NOT NULL,
  reason smallint NOT NULL,
  detail smallint NOT NULL,
  approved boolean NOT NULL,
  transaction_id text NOT NULL,
  request_id text NOT NULL,
  record bytea NOT NULL,
  funds_delta bigint GENERATED ALWAYS AS (-external_delta) VIRTUAL,
  PRIMARY KEY (partition, sequence),
  CONSTRAINT transaction_events_balance CHECK (available_delta + held_delta + posted_delta + external_delta = 0)
);

-- Money that enters or leaves without a card message (opening balances, deposits, withdrawals). Double entry as above.
CREATE TABLE ledger_adjustments (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id text UNIQUE,
  account_id bigint NOT NULL,
  funds_delta bigint NOT NULL,
  available_delta bigint NOT NULL,
  external_delta bigint NOT NULL,
  reason text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT ledger_adjustments_balance CHECK (available_delta + external_delta = 0 AND funds_delta = available_delta)
);

-- What cards (level 0), users (1) and accounts (2) have spent in each calendar window as of local day `spend_day`.
CREATE TABLE spend_windows (
  entity_id bigint NOT NULL,
  daily_amount bigint NOT NULL CHECK (daily_amount >= 0),
  weekly_amount bigint NOT NULL CHECK (weekly_amount >= 0),
  monthly_amount bigint NOT NULL CHECK (monthly_amount >= 0),
  yearly_amount bigint NOT NULL CHECK (yearly_amount >= 0),
  lifetime_amount bigint NOT NULL CHECK (lifetime_amount >= 0),
  spend_day integer NOT NULL,
  daily_count integer NOT NULL CHECK (daily_count >= 0),
  weekly_count integer NOT NULL CHECK (weekly_count >= 0),
  monthly_count integer NOT NULL CHECK (monthly_count >= 0),
  yearly_count integer NOT NULL CHECK (yearly_count >= 0),
  lifetime_count integer NOT NULL CHECK (lifetime_count >= 0),
  level smallint NOT NULL,
  PRIMARY KEY (level, entity_id)
) WITH (fillfactor = 50);

-- How far each partition's journal is settled. `sequence` is the last settled record's; 0 means none.
CREATE TABLE journal_positions (
  partition integer PRIMARY KEY,
  partition_count integer NOT NULL CHECK (partition >= 0 AND partition < partition_count),
  sequence bigint NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 10);

-- Changes of reference data on their way to the engines: the truth behind every hint.
CREATE TABLE outbox (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic text NOT NULL,
  key text NOT NULL,
  version bigint NOT NULL,
  payload jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
