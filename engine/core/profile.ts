/**
 * What a decision knows of a card: reference data, evictable, reloaded on a miss. The account's part is kept with its
 * books (accounts.ts), and the user's part in users.ts. So a card is small, and a change of either reaches all of its
 * cards at once.
 */
import type { Status } from './accounts.js';
import type { CardType } from './card-types.js';
import type { Rules } from './rules.js';

export interface CardProfile {
  /** Number of the card in the database. */
  readonly number: number;
  /** Keys its spend windows: its own number, or that of the first of the cards that it replaced. */
  readonly spendNumber: number;
  readonly type: CardType;
  readonly version: number;
  readonly status: Status;
  /** Last local day on which the card is valid, days since 1970-01-01. */
  readonly expiresDay: number;
  readonly rules: Rules | null;
  /** Slot in Accounts; owned state is not evicted while its partition runs, so the slot stays right. */
  readonly account: number;
  /** Slot in Users. */
  readonly user: number;
}
