/** When the shipper settles, how much at once, and how it yields to the front. */
import type { BacklogBounds } from './backlog-watch.js';

export interface ShipperTuning extends BacklogBounds {
  /**
   * Most records and bytes of a batch. What several records of a statement change is written once, and neighbours are
   * on the same pages. In a statement of 5,000 each record takes Postgres a fifth less than in one of 1,000. The rows
   * of its accounts stay locked until it ends.
   */
  readonly recordsMax: number;
  /**
   * The same while the front is busy. A statement keeps one of our cores busy from its first record to its last, some
   * 40 ms for a thousand. Messages that arrive meanwhile share the others.
   */
  readonly recordsBusyMax: number;
  readonly bytesMax: number;
  /** How long records wait for company, milliseconds. */
  readonly delayMs: number;
  /**
   * Before the next batch is folded behind one that was sent: until then this thread writes the statement. Megabytes do
   * not fit into the socket, and Postgres waited for the rest of them while the thread folded. Milliseconds.
   */
  readonly sendBehindMs: number;
  /**
   * While requests are in flight, less than a full batch waits `holdBackMax` more delays. Each commit of Postgres is a
   * sync, which may delay a sync of ours.
   */
  readonly holdBackMax: number;
  /**
   * Fewer records than that wait until none has come for `stillMin` delays, or `holdBackFewMax` delays. A statement
   * takes Postgres 2 ms and 50 µs a record: of ten records each costs 220 µs, of fifty 85.
   */
  readonly fewRecords: number;
  readonly stillMin: number;
  readonly holdBackFewMax: number;
  /**
   * From this many requests in flight on the front is busy: Postgres shares our cores. 10,000 a second that take 1.5 ms
   * are half as many, and settling keeps up with them. A queue of some milliseconds is as many, and settling rests
   * until it is gone.
   */
  readonly busyRequests: number;
  /**
   * While the front is busy, all partitions rest this many times as long as the last statement of one took: 9 leaves it
   * nine tenths. With n engines on the same Postgres, n times as long. Less the more waits, down to nothing at
   * backlogRecordsMax: the backlog levels off instead of ending in a sudden hurry.
   */
  readonly restShare: number;
  /**
   * Longest rest: a statement that waited for a lock, or for a server that stood still, says nothing about the work.
   */
  readonly restMsMax: number;
  /**
   * While requests are in flight a partition catches up in about this time, or at catchUpPerSecond records a second:
   * between its statements it leaves Postgres and the cores alone. Milliseconds.
   */
  readonly catchUpMs: number;
  readonly catchUpPerSecond: number;
  /** At this backlog of all partitions the shipper settles at full speed, busy or not. */
  readonly backlogRecordsMax: number;
  /** Wait after the first failure; doubled up to the second. Milliseconds. */
  readonly retryMsMin: number;
  readonly retryMsMax: number;
  /** Zeroed files kept ready per partition. */
  readonly spareCount: number;
  /** How often a folder is read to find whether it lacks a spare: another one lasts for seconds. Milliseconds. */
  readonly spareLookMs: number;
  /** Shortest pause between two steps of making a spare, milliseconds. */
  readonly spareStepMs: number;
  /**
   * Longest pause. Each step commits the file system's own journal, and a concurrent sync of the syncer waits for it.
   * At full load (16 MB/s) a segment lasts four seconds; a spare that the worker will need before is made faster.
   */
  readonly spareUnhurriedMs: number;
}

export const shipperTuningDefault: ShipperTuning = {
  recordsMax: 5_000,
  recordsBusyMax: 1_000,
  bytesMax: 4 * 1024 * 1024,
  delayMs: 25,
  sendBehindMs: 20,
  busyRequests: 32,
  holdBackMax: 16,
  fewRecords: 50,
  stillMin: 4,
  holdBackFewMax: 40,
  restShare: 9,
  restMsMax: 2_000,
  catchUpMs: 12_000,
  catchUpPerSecond: 2_000,
  keepUpRecords: 50_000,
  keepUpPerSecondMax: 17_500,
  backlogRecordsMax: 1_000_000,
  retryMsMin: 50,
  retryMsMax: 5_000,
  spareCount: 2,
  spareLookMs: 250,
  spareStepMs: 16,
  spareUnhurriedMs: 250,
};
