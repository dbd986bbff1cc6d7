/**
 * One line of an engine's `GET /admin/live`, as JSON: what the engine has counted since its process started, and a
 * sample of its last decisions. Counts go on through lost lines, so a reader takes the differences.
 */

/** An engine writes lines when its wall clock reaches a multiple of this, so that all engines write together. */
export const lineMs = 250;
/** Most decisions of a line. */
export const samplesMax = 20;

export const hopNames = ['wait', 'decide', 'journal', 'send'] as const;
export type HopName = (typeof hopNames)[number];

export interface EngineLine {
  readonly id: string;
  /** Wall clock ms. */
  readonly atMs: number;
  /** Decided answers that left, by reason: those of authorization_decisions_total. */
  readonly decided: Readonly<Record<string, number>>;
  /** Answers without a decision (503), by reason. */
  readonly refused: Readonly<Record<string, number>>;
  readonly latency: LatencyCounts;
  readonly hops: Readonly<Record<HopName, HopCounts>>;
  /** How often a hop took how long; `decide` has the sync in it. Absent: an engine of an earlier version. */
  readonly hopTimes?: Readonly<Record<HopName, LatencyCounts>>;
  readonly settleLagMs: number;
  readonly settleLagRecords: number;
  readonly feedAgeMs: number;
  /** At this age of the feed the engine approves nothing more. Absent: an engine of an earlier version. */
  readonly feedStaleMsMax?: number;
  /** Stand-in approvals that are in no books yet. Absent: an engine of an earlier version. */
  readonly standInUnbooked?: number;
  /** 0 to 1, of the partition that has the least room. Null: the engine has no partition. */
  readonly journalUsedShare: number | null;
  readonly epoch: number;
  readonly partitions: readonly number[];
  /** Decided since the line before, newest last. */
  readonly last: readonly DecisionSample[];
}

/** From the arrival of a message to its decided answer. */
export interface LatencyCounts {
  /** Upper bounds of the counts, ms. The last count is of what lies above all bounds. */
  readonly boundsMs: readonly number[];
  readonly counts: readonly number[];
}

export type HopCounts = readonly [count: number, sumMs: number];

export interface DecisionSample {
  readonly id: string;
  readonly authorizationId: string;
  readonly atMs: number;
  readonly approved: boolean;
  readonly reason: string;
  readonly detail?: string;
  readonly amount: number;
  readonly currency: string;
  readonly merchant: { readonly name: string; readonly mcc: string; readonly country: string } | null;
  /** An ellipsis and the last four characters of the card's token. */
  readonly card: string;
  readonly tookMs: number | null;
}
