/**
 * Changes of cards, users and accounts on their way to the engines: the words between the outbox, its relay, and the
 * engines. A change carries the whole profile and its version; applying one twice, or an older one later, does nothing.
 */
import { type Status, statusNamed } from './accounts.js';
import type { ChangedAccount, ChangedRows } from './load-message.js';
import type { Limits } from './rules.js';

export const feedTopics = ['card', 'user', 'account'] as const;
export type FeedTopic = (typeof feedTopics)[number];

/** Profiles as sql/migrations/030 writes them; what an engine does not read is left out here. */
export interface CardPayload {
  readonly token: string;
  readonly number: number;
  readonly version: number;
  readonly status: string;
  readonly expiresDay: number;
  readonly limits: Limits | null;
  readonly accountNumber: number;
  readonly userNumber: number;
  readonly ownerKey: number;
}
export interface UserPayload {
  readonly number: number;
  readonly version: number;
  readonly status: string;
  readonly limits: Limits | null;
  readonly ownerKey: number;
}
export interface AccountPayload {
  readonly number: number;
  readonly version: number;
  readonly status: string;
  readonly timeZone: string;
  readonly partialApproval: boolean;
  readonly limits: Limits | null;
  readonly ownerKey: number;
}

interface Place {
  /** Place in the feed: 1, 2, 3 … without gaps; 0 in a snapshot, which is outside of it. */
  readonly sequence: number;
  /** When it was written, wall clock ms. */
  readonly atMs: number;
}
export type FeedEntry = Place &
  (
    | { readonly topic: 'card'; readonly payload: CardPayload }
    | { readonly topic: 'user'; readonly payload: UserPayload }
    | { readonly topic: 'account'; readonly payload: AccountPayload }
  );

/** What a partition takes over, of entries that are all its own. */
export function changedRows(entries: readonly FeedEntry[]): ChangedRows {
  const accounts: ChangedAccount[] = [];
  const users: { number: number; version: number; status: Status; limits: Limits | null }[] = [];
  const cards: ChangedRows['cards'][number][] = [];
  for (const { topic, payload } of entries) {
    const status = statusNamed(payload.status);
    const { number, version, limits } = payload;
    if (topic === 'card') {
      const { token, expiresDay } = payload;
      cards.push({ token, number, version, status, expiresDay, limits });
    } else if (topic === 'user') users.push({ number, version, status, limits });
    else {
      const { timeZone, partialApproval } = payload;
      accounts.push({ number, version, status, timeZone, partialApproval, limits });
    }
  }
  return { accounts, users, cards };
}
