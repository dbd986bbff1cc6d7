/** Stretches of a journal on their way to Postgres, and the reading that fills them. */
import { JournalReader, type JournalReaderOptions } from '../journal/journal-reader.js';

/** Consecutive records, end to end. The memory is made once and used again when they are settled. */
export class SettleBatch {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
  firstSequence = 0;
  recordCount = 0;
  byteCount = 0;
  #limit = 0;
  /** The time stamped on the newest record's frame. */
  atMs = 0;
  /** The newest durable record when it was gathered. */
  durableSequence = 0;
  /** When Postgres could begin with it, monotonic milliseconds. */
  startedAtMs = 0;
  /** Whether Postgres applied it; rejects when that is unknown. */
  outcome: Promise<boolean> = Promise.resolve(false);

  constructor(recordsMax: number, bytesMax: number) {
    this.bytes = new Uint8Array(bytesMax);
    this.offsets = new Uint32Array(recordsMax);
  }

  get lastSequence(): number {
    return this.firstSequence + this.recordCount - 1;
  }
  get isFull(): boolean {
    return this.recordCount === this.#limit;
  }

  /** @param recordsMax how many it takes this time */
  empty(firstSequence: number, recordsMax: number): void {
    this.firstSequence = firstSequence;
    this.recordCount = 0;
    this.byteCount = 0;
    this.#limit = Math.min(recordsMax, this.offsets.length);
  }
}

/** Reads a journal record by record, across frames. */
export class BatchReader {
  readonly #reader: JournalReader;
  /** Next record of the reader's frame to go into a batch, and where it stands. */
  #nextSequence = 0;
  #nextOffset = 0;

  constructor(options: JournalReaderOptions) {
    this.#reader = new JournalReader(options);
  }

  /** Goes to record `sequence`. @throws JournalPositionError, JournalCorruptError */
  seek(sequence: number, durableSequence: number): void {
    this.#reader.seek(sequence, durableSequence);
    this.#nextSequence = 0;
  }

  /** Copies durable records from the batch's first on into it, whole or parts of frames, until a bound or the end. */
  fill(batch: SettleBatch, durableSequence: number): void {
    const first = batch.firstSequence;
    while (!batch.isFull) {
      if (this.#nextSequence === 0 || this.#nextSequence >= this.#reader.frame.sequence) {
        if (!this.#reader.next(durableSequence)) return;
        this.#nextSequence = this.#reader.frame.frameSequence;
        this.#nextOffset = this.#reader.frame.recordsStart;
      }
      const { bytes, view, frameAtMs } = this.#reader.frame;
      const length = view.getUint16(this.#nextOffset, true);
      if (this.#nextSequence >= first) {
        if (batch.byteCount + length > batch.bytes.length) return;
        batch.offsets[batch.recordCount++] = batch.byteCount;
        batch.bytes.set(bytes.subarray(this.#nextOffset, this.#nextOffset + length), batch.byteCount);
        batch.byteCount += length;
        batch.atMs = frameAtMs;
      }
      this.#nextSequence++;
      this.#nextOffset += length;
    }
  }

  close(): void {
    this.#reader.close();
  }
}
