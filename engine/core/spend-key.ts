/**
 * The number by which a spend row is found. Amounts of different currencies cannot be added, so a user has one row per
 * currency: that of the account that a transaction is of. A card and an account have one currency each, and so one row.
 */
import { assert } from './invariant.js';
import { Level } from './limit-names.js';

/** Above every packed currency code (codes.ts), and as user_currency() in the database has it. */
const currencies = 2 ** 15;
/** Such a number, times four and with its level, stays a safe integer: see spend.ts. */
const usersMax = 2 ** 36;

/**
 * `spend_windows.level` of a user's rows. Rows of level 1 are of the time before there was one per currency: an engine
 * of that time writes them, and none of this.
 */
export const storedUserLevel = 3 as const;

/** @param currency packed, of the account */
export function userSpendNumber(user: number, currency: number): number {
  assert(user < usersMax, 'a user has a number that is too large for their spend rows');
  return user * currencies + currency;
}

/** The level under which the database keeps the rows of a level. */
export function storedLevel(level: Level): number {
  return level === Level.user ? storedUserLevel : level;
}
