-- The index of 013 is the beginning of that of 063. Dropping takes the table for an instant only.
DROP INDEX IF EXISTS cards_account;
