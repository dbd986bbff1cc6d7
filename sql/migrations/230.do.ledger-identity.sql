-- Which ledger this is, for what is copied out of it: a copy of another ledger must not be taken for one of this. Made once
-- with the database, and part of every backup.
CREATE TABLE ledger_identity (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO ledger_identity DEFAULT VALUES;

-- Work that one API does at a time. A holder renews its row; another API takes it over once the time has passed by this
-- database's clock. A lease saves work, or keeps a second API away; nothing that moves money depends on one.
CREATE TABLE api_leases (
  scope text PRIMARY KEY,
  holder uuid NOT NULL,
  -- For people: where the holder runs.
  host text NOT NULL,
  pid integer NOT NULL,
  held_until timestamptz NOT NULL
) WITH (fillfactor = 10);
