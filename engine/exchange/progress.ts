/**
 * How far each partition has come, in one small block of shared memory. The partition's worker, its syncer, the shipper
 * and the front write it, and all of them read it (metrics, lag, health). Not a queue and not a lock: numbers only.
 *
 * Ordering. Every number has one writer at a time.
 * - durableSequence: stored by the syncer after fdatasync returned, or by the worker where it wrote the frame itself;
 *   before the syncer starts, by the worker when recovery has made the whole journal durable. A thread that loads n may
 *   read the journal files up to record n. The bytes, and the segment's name, were written before the store. Atomics
 *   are sequentially consistent, and all threads share one page cache. -1 means that the journal is not open yet, so
 *   nothing may be read.
 * - settledSequence: stored by the shipper after Postgres committed and before a segment is retired. A reader that
 *   finds a segment gone therefore also finds a settledSequence at or past its end.
 * - finalSequence: stored by the front before it gives the slab's answers away. No record up to it will be revoked any
 *   more. So its transaction may leave memory and its segment may be retired, once Postgres has them.
 * - counters and times are plain stores into aligned 8-byte cells: a reader may see one batch more in one counter than
 *   in the next. They feed metrics and the choice when to settle, never a decision about money.
 *
 *   block 0                              one block of 512 bytes per partition
 *   0 i32 requests in flight (front)      0 i64 durableSequence             (syncer, own cache line), and beside it
 *   4 i32 waiting for room (front)        8 f64 finalSequence             (front)
 *   8 i32 other engines (front)
 *                                        16 f64 refusal, refused batches by refusal (worker, only while there is no
 *                                        room) 64 i64 settledSequence, f64 settled at ms, settled batches, settled
 *                                        records,
 *                                           failed settles, segments, spares (shipper, own cache line)
 *                                       128 f64 batches, records, bytes, syncs, sync ns, sync buckets (syncer)
 *                                       320 f64 settle ms, settle buckets (shipper, own cache line)
 */
import { assert } from '../core/invariant.js';

const headBytes = 64;
const partitionBytes = 512;
/** Far above any core count; keeps a wrong argument from asking for gigabytes. */
export const partitionCountMax = 1024;

/** Upper bounds of the fdatasync histogram in nanoseconds; the last bucket, without a bound, follows them. */
export const syncNsBounds: readonly number[] = [
  50e3, 100e3, 200e3, 300e3, 500e3, 750e3, 1e6, 1.5e6, 2e6, 3e6, 5e6, 10e6, 20e6, 50e6, 100e6, 200e6, 500e6, 1e9,
];

/** Upper bounds of the histogram of settle statements in milliseconds. */
export const settleMsBounds: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 30_000];

const i64 = { durable: 0, settled: 8 } as const;
const f64 = {
  finalSequence: 1,
  refusal: 2,
  /** One cell for each of journalRefusals; the first is never used. */
  refusedBatches: 3,
  settledAtMs: 9,
  settledBatches: 10,
  settledRecords: 11,
  settleFailures: 12,
  segments: 13,
  spares: 14,
  batches: 16,
  records: 17,
  bytes: 18,
  syncs: 19,
  syncNs: 20,
  buckets: 21,
  settleMs: 40,
  settleBuckets: 41,
} as const;
assert(f64.buckets + syncNsBounds.length + 1 <= f64.settleMs, 'the sync buckets do not fit before the settle cells');
assert((f64.settleBuckets + settleMsBounds.length + 1) * 8 <= partitionBytes, 'the progress block is too small');

/** Why a journal takes no batch for now. '': it takes them. */
export const journalRefusals = ['', 'disk full', 'books lag', 'no file descriptor'] as const;
export type JournalRefusal = (typeof journalRefusals)[number];
assert(f64.refusedBatches + journalRefusals.length <= i64.settled, 'the refusals do not fit beside durableSequence');

/** The cells of one partition. */
export class PartitionProgress {
  readonly #sequences: BigInt64Array;
  readonly #cells: Float64Array;

  constructor(buffer: SharedArrayBuffer, partition: number) {
    const offset = headBytes + partition * partitionBytes;
    this.#sequences = new BigInt64Array(buffer, offset, partitionBytes / 8);
    this.#cells = new Float64Array(buffer, offset, partitionBytes / 8);
  }

  /** The last record known to be on disk; 0 when the journal is empty, -1 while it is not open. */
  get durableSequence(): number {
    return Number(Atomics.load(this.#sequences, i64.durable));
  }

  /** The syncer after fdatasync; the worker once, after recovery made the whole journal durable. */
  publishDurable(sequence: number): void {
    Atomics.store(this.#sequences, i64.durable, BigInt(sequence));
  }

  /** Worker only: the journal refused a batch, or ('') takes batches again. */
  setRefusal(refusal: JournalRefusal): void {
    const code = journalRefusals.indexOf(refusal);
    this.#cells[f64.refusal] = code;
    if (code > 0) this.#cells[f64.refusedBatches + code]! += 1;
  }

  /** What the journal said to the newest batch. */
  get refusal(): JournalRefusal {
    return journalRefusals[this.#cells[f64.refusal]!]!;
  }

  /** Batches that were declined for this reason. */
  refusedBatches(refusal: JournalRefusal): number {
    return this.#cells[f64.refusedBatches + journalRefusals.indexOf(refusal)]!;
  }

  /** The last record known to be committed in Postgres; -1 until the shipper read its position. */
  get settledSequence(): number {
    return Number(Atomics.load(this.#sequences, i64.settled));
  }

  /**
   * Shipper only, after the commit.
   * @param atMs the time stamped on the newest settled batch, wall clock milliseconds; 0 keeps what is there
   */
  publishSettled(sequence: number, atMs: number): void {
    if (atMs > 0) this.#cells[f64.settledAtMs] = atMs;
    Atomics.store(this.#sequences, i64.settled, BigInt(sequence));
  }

  /** No record up to this one will be revoked any more; without a front, none ever is. */
  get finalSequence(): number {
    return this.#cells[f64.finalSequence]!;
  }

  /** Front only. */
  publishFinal(sequence: number): void {
    this.#cells[f64.finalSequence] = sequence;
  }

  /** Only once all its writers are gone: the partition is in no memory of this process. Its counters stay. */
  clear(): void {
    this.publishDurable(-1);
    this.publishSettled(-1, 0);
    this.publishFinal(Number.MAX_SAFE_INTEGER);
    this.setRefusal('');
    this.setFiles(0, 0);
  }

  /** Records on disk that Postgres does not have yet; 0 while either side has not started. */
  get backlogRecords(): number {
    const settled = this.settledSequence;
    const durable = this.durableSequence;
    return settled < 0 || durable < settled ? 0 : durable - settled;
  }

  /** Time stamped on the newest settled batch, wall clock milliseconds; 0 before the first. */
  get settledAtMs(): number {
    return this.#cells[f64.settledAtMs]!;
  }

  /** Worker only: one batch of `records` in `bytes` was synced in `syncNs` nanoseconds. */
  countBatch(records: number, bytes: number, syncNs: number): void {
    const cells = this.#cells;
    cells[f64.batches]! += 1;
    cells[f64.records]! += records;
    cells[f64.bytes]! += bytes;
    cells[f64.syncs]! += 1;
    cells[f64.syncNs]! += syncNs;
    cells[f64.buckets + bucketOf(syncNsBounds, syncNs)]! += 1;
  }

  /** Shipper only. @param tookMs from the sending of the statement until it was known to be committed */
  countSettled(records: number, tookMs: number): void {
    const cells = this.#cells;
    cells[f64.settledBatches]! += 1;
    cells[f64.settledRecords]! += records;
    cells[f64.settleMs]! += tookMs;
    cells[f64.settleBuckets + bucketOf(settleMsBounds, tookMs)]! += 1;
  }

  /** Shipper only. */
  countSettleFailure(): void {
    this.#cells[f64.settleFailures]! += 1;
  }

  /** Shipper only: files of the partition's journal on disk. */
  setFiles(segments: number, spares: number): void {
    this.#cells[f64.segments] = segments;
    this.#cells[f64.spares] = spares;
  }

  get batches(): number {
    return this.#cells[f64.batches]!;
  }
  get records(): number {
    return this.#cells[f64.records]!;
  }
  /** Bytes appended, frame headers and padding included. */
  get bytes(): number {
    return this.#cells[f64.bytes]!;
  }
  get syncs(): number {
    return this.#cells[f64.syncs]!;
  }
  /** Nanoseconds spent in fdatasync, all together. */
  get syncNs(): number {
    return this.#cells[f64.syncNs]!;
  }
  get settledBatches(): number {
    return this.#cells[f64.settledBatches]!;
  }
  get settledRecords(): number {
    return this.#cells[f64.settledRecords]!;
  }
  get settleFailures(): number {
    return this.#cells[f64.settleFailures]!;
  }
  get segments(): number {
    return this.#cells[f64.segments]!;
  }
  get spares(): number {
    return this.#cells[f64.spares]!;
  }

  /** Syncs per bucket of syncNsBounds (not cumulative), the unbounded one last. Allocates: for metrics only. */
  syncBuckets(): number[] {
    return Array.from(this.#cells.subarray(f64.buckets, f64.buckets + syncNsBounds.length + 1));
  }

  /** Milliseconds of all settle statements together. */
  get settleMs(): number {
    return this.#cells[f64.settleMs]!;
  }

  /** Settle statements per bucket of settleMsBounds, as syncBuckets. */
  settleBuckets(): number[] {
    return Array.from(this.#cells.subarray(f64.settleBuckets, f64.settleBuckets + settleMsBounds.length + 1));
  }
}

function bucketOf(bounds: readonly number[], value: number): number {
  let bucket = 0;
  while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
  return bucket;
}

/** All partitions, and the gauge of the front. */
export class Progress {
  readonly partitions: readonly PartitionProgress[];
  readonly #head: Int32Array;

  /** Attaches to a block that createProgress made, in any thread. */
  constructor(readonly buffer: SharedArrayBuffer) {
    const count = (buffer.byteLength - headBytes) / partitionBytes;
    assert(Number.isInteger(count) && count >= 1, 'this is no progress block');
    this.#head = new Int32Array(buffer, 0, headBytes / 4);
    this.partitions = Array.from({ length: count }, (_, partition) => new PartitionProgress(buffer, partition));
  }

  /** Requests the front has accepted and not answered: the shipper stands back while this is high. */
  get requestsInFlight(): number {
    return Atomics.load(this.#head, 0);
  }

  /** Front only. */
  setRequestsInFlight(count: number): void {
    Atomics.store(this.#head, 0, count);
  }

  /** Messages that wait until more is settled, for memory has no room for what they need: the shipper hurries. */
  get waitingForRoom(): number {
    return Atomics.load(this.#head, 1);
  }

  /** Front only. */
  setWaitingForRoom(count: number): void {
    Atomics.store(this.#head, 1, count);
  }

  /** Engines that settle into the same Postgres, this one included. */
  get engines(): number {
    return 1 + Atomics.load(this.#head, 2);
  }

  /** Front only. */
  setEngines(count: number): void {
    Atomics.store(this.#head, 2, Math.max(0, count - 1));
  }
}

/** Makes the block of `partitionCount` partitions: journals not open, positions unknown, counters 0. */
export function createProgress(partitionCount: number): Progress {
  assert(
    Number.isInteger(partitionCount) && partitionCount >= 1 && partitionCount <= partitionCountMax,
    `partitionCount must be 1..${partitionCountMax}`,
  );
  const progress = new Progress(new SharedArrayBuffer(headBytes + partitionCount * partitionBytes));
  for (const partition of progress.partitions) partition.clear();
  return progress;
}
