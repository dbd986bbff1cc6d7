/**
 * What the relay says to the engines, and what it hears from them: by Postgres LISTEN/NOTIFY (listen-publisher.ts) or
 * Redis (redis-publisher.ts). Nothing said is relied on: engines repair what they miss, and a report that is lost is
 * read from the engine's row.
 */
import type { FeedEntry } from '../../engine/core/feed.js';

/** An engine says that it has applied every change up to `sequence`, and how many profiles it has set apart. */
export type Reported = (engineId: string, sequence: number, setApart: number) => void;

export interface Publisher {
  readonly name: 'redis' | 'postgres';
  /** Whether entries are published; else engines read them when they hear of a new number. */
  readonly carriesEntries: boolean;
  /** '' when it works. */
  readonly failure: string;
  start(reported: Reported): Promise<void>;
  /** Entries and the newest number; a heartbeat when there are none. @returns false when they could not be sent */
  publish(entries: readonly FeedEntry[], newest: number): Promise<boolean>;
  stop(): Promise<void>;
}

/** Reads "engine sequence", or "engine sequence set-apart". */
export function readReport(text: string, reported: Reported): void {
  const [, engineId, sequence, setApart = '0'] = /^([0-9a-f-]{36}) (\d{1,15})(?: (\d{1,15}))?$/.exec(text) ?? [];
  if (engineId !== undefined) reported(engineId, Number(sequence), Number(setApart));
}
