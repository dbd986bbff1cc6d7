-- The one writer of a ledger (law 4). An engine holds the lease while it renews this row. Another one may take it once it is
-- released, once its time and a margin have passed by this database's clock, or when it can prove that the holder is gone
-- (engine/writer-lease.ts). Each take-over has a higher epoch. No session stands for the lease, so none can outlive it.
CREATE TABLE writer_leases (
  -- What is written: 'ledger' is every partition of the ledger, for one engine.
  scope text PRIMARY KEY,
  holder uuid NOT NULL,
  epoch bigint NOT NULL CHECK (epoch > 0),
  lease_ms integer NOT NULL CHECK (lease_ms > 0),
  -- Null: released.
  renewed_at timestamptz,
  taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Names the holder's journal as its machine does, '' when that cannot be named.
  journal text NOT NULL,
  -- For people: where the holder runs.
  host text NOT NULL,
  pid integer NOT NULL,
  auth_url text NOT NULL,
  ops_url text NOT NULL
) WITH (fillfactor = 10);

-- The fence. Every statement by which a writer changes the ledger locks its row here FOR SHARE and finds its own epoch, or
-- changes nothing. A take-over writes the new epoch, and so waits for the statements under way and excludes all later ones of
-- the engine before it. A row of its own, because a statement that settles for long must not hold up the lease's renewal.
CREATE TABLE writer_epochs (
  scope text PRIMARY KEY,
  epoch bigint NOT NULL,
  holder uuid NOT NULL
) WITH (fillfactor = 10);
