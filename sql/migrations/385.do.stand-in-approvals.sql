-- Stand-in approvals of several engines that no partition has booked yet (docs/standin.md). Only the holder of the
-- partition's lease inserts, and it locks the row of the lease for that. So the engine that claims the partition next
-- reads every approval that may have left, before it takes a message.
CREATE TABLE stand_in_approvals (
  partition integer NOT NULL,
  -- The id of the message, as its protocol has it.
  id bytea NOT NULL,
  -- As docs/journal-format.md has it.
  record bytea NOT NULL,
  -- For people.
  approved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (partition, id)
);
