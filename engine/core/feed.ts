/**
 * Changes of cards, users and accounts on their way to the engines: the words between the outbox, its relay, and the
 * engines. A change carries the whole profile and its version; applying one twice, or an older one later, does nothing.
 */
import { statusNamed } from './accounts.js';
import { cardTypeNamed } from './card-types.js';
import type { ChangedAccount, ChangedCard, UserRow } from './partition-rows.js';
import type { Limits } from './rules.js';

export const feedTopics = ['card', 'user', 'account'] as const;
export type FeedTopic = (typeof feedTopics)[number];

/** Profiles as sql/migrations/030 and 250 write them; what an engine does not read is left out here. */
export interface CardPayload {
  readonly token: string;
  readonly number: number;
  readonly version: number;
  readonly status: string;
  readonly expiresDay: number;
  /** These two are absent in changes from before cards had types and replacements. */
  readonly type?: string;
  readonly spendNumber?: number;
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
export type Profile =
  | { readonly topic: 'card'; readonly payload: CardPayload }
  | { readonly topic: 'user'; readonly payload: UserPayload }
  | { readonly topic: 'account'; readonly payload: AccountPayload };
export type FeedEntry = Place & Profile;

/** An entry as it was read, before it is known whether its profile can be applied (set-apart.ts). */
export interface RawEntry extends Place {
  readonly topic: FeedTopic;
  readonly payload: unknown;
  /** As the outbox has them beside the payload; a frame has only the payload. */
  readonly key?: string;
  readonly version?: number;
}

export function isSafeCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** What a partition takes over of an entry of its own. */
export function changedRow({ topic, payload }: FeedEntry): ChangedAccount | UserRow | ChangedCard {
  const { number, version, limits } = payload;
  const status = statusNamed(payload.status);
  if (topic === 'card') {
    const { token, expiresDay, spendNumber = number } = payload;
    return { token, number, version, status, expiresDay, type: cardTypeNamed(payload.type), spendNumber, limits };
  }
  if (topic === 'user') return { number, version, status, limits };
  const { timeZone, partialApproval } = payload;
  return { number, version, status, timeZone, partialApproval, limits };
}
