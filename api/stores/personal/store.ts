/**
 * The personal store: profiles and cards of personal customers. Two implementations (mongo.ts, postgres.ts) are held to
 * one contract suite. It holds no money and no credentials: those are in Postgres for everyone.
 *
 * The store has no transaction in common with the database that the engine reads. So a card carries the fact that its
 * newest version is not published yet (`pending`); the relay (api/feed/personal-relay.ts) copies the card over and then
 * takes the mark away. A crash between the two leaves the mark, and copying again is harmless.
 */
import type { Limits } from '../../../engine/core/rules.js';
import type { CardChange, CardStatus } from '../card-rules.js';
import { DatabaseUnavailable } from '../database-errors.js';

export type KycStatus = 'pending' | 'verified' | 'rejected';

export interface PersonalProfile {
  /** Public id of the user. */
  readonly userId: string;
  readonly email: string;
  readonly name: string;
  readonly kycStatus: KycStatus;
  /** RFC 3339 in UTC, with milliseconds. */
  readonly createdAt: string;
}

export interface PersonalCard {
  /** Public ids. */
  readonly cardId: string;
  readonly userId: string;
  readonly accountId: string;
  /** What the authorization port takes as `card`. */
  readonly token: string;
  readonly name: string;
  readonly status: CardStatus;
  /** Last day of validity, YYYY-MM-DD. */
  readonly expires: string;
  readonly limits: Limits;
  /** Rises by one with every change. */
  readonly version: number;
  readonly createdAt: string;
}

/** Newest first; `after` is the sort key of the last card of the page before. */
export interface CardPage {
  readonly after: readonly [createdAt: string, cardId: string] | null;
  readonly limit: number;
}

export type ChangeOutcome =
  | { readonly outcome: 'changed'; readonly card: PersonalCard }
  | { readonly outcome: 'unchanged'; readonly card: PersonalCard }
  | { readonly outcome: 'closed'; readonly card: PersonalCard }
  /** Somebody else changed it since the version that the caller knows. */
  | { readonly outcome: 'stale'; readonly version: number }
  | { readonly outcome: 'absent' };

export interface StoreHealth {
  readonly isUp: boolean;
  readonly detail: string;
}

export interface PersonalStore {
  readonly kind: 'mongodb' | 'postgres';
  /** Makes collections, validators and indexes; done again whenever the server was away at the start. */
  start(): Promise<void>;
  close(): Promise<void>;
  health(): StoreHealth;

  /** Keeps the profile unless there is one: registration may say it again, and so may repair. */
  addProfile(profile: PersonalProfile): Promise<void>;
  profile(userId: string): Promise<PersonalProfile | null>;

  /**
   * Keeps the card unless there is one of that id.
   * @param published true: taken over from Postgres, which has it already
   * @returns the card as kept: of two calls with one id, the first one's
   */
  addCard(card: PersonalCard, published?: boolean): Promise<PersonalCard>;
  /** Null also when the card is somebody else's. */
  card(userId: string, cardId: string): Promise<PersonalCard | null>;
  cards(userId: string, page: CardPage): Promise<PersonalCard[]>;
  /** Changes a card and marks it as pending, atomically. @param version that the caller knows; null: whichever it is */
  changeCard(userId: string, cardId: string, change: CardChange, version: number | null): Promise<ChangeOutcome>;

  /** Cards whose newest version waits to be published, oldest change first. */
  pendingCards(limit: number): Promise<PersonalCard[]>;
  /** Lets a card that cannot be published wait behind the others. */
  postpone(cardId: string): Promise<void>;
  /** Takes the mark away unless the card has changed since `version`. */
  clearPending(cardId: string, version: number): Promise<void>;
}

/** Thrown when a change lost against others every time. Trying again is right. */
export class StoreContended extends DatabaseUnavailable {
  constructor(cardId: string) {
    super(`card ${cardId} is being changed by others`);
  }
}

/** How often a change is tried again when others change the same card in between, before the caller is told. */
export const changeAttemptsMax = 8;

/** Ids are drawn or derived from the user's own: somebody else's card of the same id is a bug, and stays theirs. */
export function mine(card: PersonalCard | null, cardId: string): PersonalCard {
  if (card === null) throw new Error(`card id ${cardId} belongs to another user`);
  return card;
}
