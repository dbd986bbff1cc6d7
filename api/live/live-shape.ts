/**
 * What the live stream (`GET /api/live`) sends. The pages import these types and nothing else of this folder. Times are
 * milliseconds since 1970, durations are milliseconds, amounts are in minor units.
 */

/** Event `tick`, 4 a second. Its id is `<start of the process, ms>-<number of the tick>`. */
export interface LiveTick {
  readonly atMs: number;
  /** What the tick covers, of all engines together. */
  readonly windowMs: number;
  readonly decided: number;
  readonly approved: number;
  readonly refused: number;
  /** Declines and refusals of the window. */
  readonly byReason: Readonly<Record<string, number>>;
  /** Of the last 10 s. Null: nothing was decided. */
  readonly latencyMs: LiveLatency | null;
  /** Means of the last 10 s. */
  readonly hopsMs: LiveHops | null;
  /** Of the last 10 s: at most 3, the slowest first. */
  readonly slowest: readonly LiveSlowHop[];
  readonly settleLagMs: number;
  readonly settleLagRecords: number;
  readonly engines: readonly LiveEngine[];
  /** Null: not read yet. */
  readonly books: LiveBooks | null;
  /** What this API sees itself; Prometheus has more rules, and all of the processes. The most urgent first. */
  readonly alerts: readonly LiveAlert[];
  /** At most 20 of the window, newest last: a sample when there were more. */
  readonly last: readonly LiveDecision[];
}

export interface LiveLatency {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export interface LiveHops {
  readonly wait: number;
  readonly decide: number;
  readonly journal: number;
  readonly send: number;
}

/** One hop at one engine. `decide` has the sync in it. */
export interface LiveSlowHop {
  readonly engine: string;
  readonly hop: keyof LiveHops;
  readonly p99Ms: number;
}

/** What the walk over the accounts finds, whichever API walks. */
export interface LiveBooks {
  /** When the last walk over all accounts ended; null: none has ended. */
  readonly checkedAtMs: number | null;
  /** How many accounts that walk held against their postings, and how many it could not. */
  readonly accounts: number;
  readonly unchecked: number;
  /** Known to be wrong now. */
  readonly unbalanced: number;
  readonly firstUnbalanced: string | null;
}

export interface LiveAlert {
  /** As the rule of Prometheus is called that watches the same. */
  readonly name: string;
  readonly severity: 'page' | 'ticket';
  /** The section of docs/runbook.md. */
  readonly runbook: string;
  /** Which engine, server or account; '': the whole program. */
  readonly what: string;
  readonly sinceMs: number;
}

export interface LiveEngine {
  readonly id: string;
  /** False: the engine has sent nothing for 2 s. Its other figures are then the last that it sent. */
  readonly isUp: boolean;
  /** Since the engine sent its last line. */
  readonly ageMs: number;
  readonly epoch: number;
  readonly partitions: readonly number[];
  readonly decidedPerSecond: number;
  readonly p99Ms: number | null;
  readonly journalUsedShare: number | null;
  readonly feedAgeMs: number;
  /** At this age the engine approves nothing more; null: not known. */
  readonly feedStaleMsMax: number | null;
  /** Stand-in approvals that are in no books yet. */
  readonly standInUnbooked: number;
  readonly settleLagMs: number;
}

export interface LiveDecision {
  readonly id: string;
  readonly authorizationId: string;
  readonly atMs: number;
  readonly approved: boolean;
  readonly reason: string;
  readonly detail?: string;
  readonly amount: number;
  readonly currency: string;
  readonly merchant: LiveMerchant | null;
  /** Shortened: "…9f2c". */
  readonly card: string;
  readonly tookMs: number | null;
}

export interface LiveMerchant {
  readonly name: string;
  readonly mcc: string;
  readonly country: string;
}

/** Event `history`, once at the start of a stream that does not go on from an earlier one: the last 15 minutes. */
export interface LiveHistory {
  readonly everyMs: 5000;
  readonly fromMs: number;
  readonly decidedPerSecond: readonly number[];
  readonly approvedShare: readonly (number | null)[];
  readonly p50: readonly (number | null)[];
  readonly p99: readonly (number | null)[];
  readonly p999: readonly (number | null)[];
  readonly settleLagMs: readonly number[];
}
