-- Accounts with their settled books (integer minor units), and cards.
CREATE TABLE accounts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id text NOT NULL UNIQUE,
  kind text NOT NULL CHECK (kind IN ('personal', 'business')),
  company_id bigint REFERENCES companies (id),
  user_id bigint REFERENCES users (id),
  -- Decides the partition: all accounts and users of one owner have one writer. Company id * 2 + 1, personal user id * 2.
  owner_key bigint NOT NULL,
  currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  time_zone text NOT NULL DEFAULT 'UTC',
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'frozen', 'closed')),
  partial_approval boolean NOT NULL DEFAULT true,
  -- Version of the reference data above; settling the books does not change it.
  version integer NOT NULL DEFAULT 1,
  funds bigint NOT NULL DEFAULT 0,
  available bigint NOT NULL DEFAULT 0,
  held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
  posted bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT accounts_balance CHECK (funds = available + held + posted),
  CONSTRAINT accounts_owner CHECK (
    (kind = 'business' AND company_id IS NOT NULL AND user_id IS NULL AND owner_key = company_id * 2 + 1)
    OR (kind = 'personal' AND user_id IS NOT NULL AND company_id IS NULL AND owner_key = user_id * 2)
  )
  -- Half-empty pages: the books change with every batch, and an update that stays on its page touches no index.
) WITH (fillfactor = 50);

CREATE TABLE cards (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id text NOT NULL UNIQUE,
  token text NOT NULL UNIQUE,
  account_id bigint NOT NULL REFERENCES accounts (id),
  user_id bigint NOT NULL REFERENCES users (id),
  name text NOT NULL,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'frozen', 'closed')),
  -- Last day of validity, inclusive, in the account's time zone.
  expires date NOT NULL,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- level: 0 card, 1 user, 2 account (engine/core/limit-names.ts); limits: the body of the API's PUT …/limits.
CREATE TABLE limits (
  level smallint NOT NULL CHECK (level BETWEEN 0 AND 2),
  entity_id bigint NOT NULL,
  limits jsonb NOT NULL CHECK (jsonb_typeof(limits) = 'object'),
  version integer NOT NULL DEFAULT 1,
  PRIMARY KEY (level, entity_id)
);
