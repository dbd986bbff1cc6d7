-- What the walk over all accounts finds (api/background/books-watch.ts), for every API to show: one API at a time
-- walks.
CREATE TABLE books_state (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  -- The end of the last walk over all accounts; NULL: none has ended.
  checked_at timestamptz,
  -- Accounts that this walk held against their postings, and accounts that no statement could add up.
  accounts bigint NOT NULL DEFAULT 0 CHECK (accounts >= 0),
  unchecked bigint NOT NULL DEFAULT 0 CHECK (unchecked >= 0),
  -- Accounts that are known to be wrong now, and the first of them.
  unbalanced bigint NOT NULL DEFAULT 0 CHECK (unbalanced >= 0),
  first_account text,
  CHECK ((unbalanced = 0) = (first_account IS NULL))
) WITH (fillfactor = 10);
INSERT INTO books_state DEFAULT VALUES;
