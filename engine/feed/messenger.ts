/**
 * What carries hints between the relay and the engines: Postgres LISTEN/NOTIFY (listen.ts) or Redis (redis.ts). A
 * messenger may lose, repeat, reorder and delay; the follower and the lease stand on the outbox alone.
 */
import type { RawEntry } from '../core/feed.js';

export interface MessengerEvents {
  /** Entries as they were published, with the bytes of their packet. */
  entries(list: readonly RawEntry[], bytes: number): void;
  /** The relay's newest number. */
  announced(newest: number): void;
  /** Connected (again): something may have been missed. */
  connected(): void;
}

export interface Messenger {
  readonly name: 'redis' | 'postgres';
  /** Whether it brings the entries themselves, or only says that there are some. */
  readonly carriesEntries: boolean;
  /** Messages of a relay arrived lately. When not, the engine asks the outbox itself, often. */
  readonly isUp: boolean;
  /** Whether the service itself answers, and what is wrong when not. */
  readonly failure: string;
  start(events: MessengerEvents): void;
  /**
   * Says how far changes are in force here, and how many profiles are set apart.
   * @returns whether that was sent; whether a relay received it is unknown
   */
  applied(sequence: number, setApart: number): Promise<boolean>;
  stop(): Promise<void>;
}

/** The relay says its newest number this often, also when nothing changes. */
export const heartbeatMs = 250;
/** Without a word for so long there is no relay, or no way to it: three heartbeats may get lost. */
export const silenceMsMax = 4 * heartbeatMs;
