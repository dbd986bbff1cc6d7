-- Several transactions may have one id: an id means something within the partition that decides it only, and an id that
-- a partition has forgotten (SEEN_IDS_MAX) may be asked again. `occurrence` tells the rows of one id and partition apart.
-- Row 0 is the one that later messages of that id belong to; every other row has a number that is never used twice.
ALTER TABLE transactions ADD COLUMN occurrence bigint NOT NULL DEFAULT 0;
