/**
 * Where the journal's frames go, one after the other. Each is written with one pwrite and made durable with one
 * fdatasync before the next follows. So the disk never holds a frame behind one that is torn.
 */
import { ExchangeFailedError, type FrameExchange, type FramePlan } from '../../engine/exchange/frame-exchange.js';
import type { PartitionProgress } from '../../engine/exchange/progress.js';
import { JournalFailedError } from './journal-errors.js';
import { frameBytesFor, frameHeaderBytes, sealFrame } from './segment.js';
import type { FileId, Storage } from './storage.js';

/** A frame on its way, with the file it goes to. */
export interface Frame extends FramePlan {
  readonly file: FileId;
}

/**
 * What the journal's writer needs of a sink; see FrameExchange for the turns. All throw JournalFailedError once it has
 * failed.
 */
export interface FrameSink {
  /** Two frames: while one is written, the other is filled. */
  readonly frames: readonly [Uint8Array, Uint8Array];
  /** CRC of the last frame's header. Only while nothing is under way. */
  chain: number;
  /** @returns false when the open frame was taken since its last commit: the other one is open now, and empty */
  begin(holds: boolean): boolean;
  commit(index: 0 | 1, frame: Frame): void;
  release(index: 0 | 1, holds: boolean): void;
  /** Blocks until everything committed is durable. */
  drain(): void;
}

/** What a frame is written with. */
export interface FrameTarget {
  readonly storage: Storage;
  readonly partition: number;
  readonly progress: PartitionProgress;
  /** Monotonic milliseconds, for timing syncs only. */
  readonly nowMs: () => number;
}

/**
 * Seals the frame, writes it, syncs it, and says that it is durable.
 * @param committedMs how long its commit took where that came before (JOURNAL=postgres), milliseconds
 * @returns the CRC of its header, the chain of the next one. Throws what the storage throws: then the content of
 * the disk is unknown, and nothing may follow.
 */
export function writeFrame(
  target: FrameTarget,
  file: FileId,
  bytes: Uint8Array,
  view: DataView,
  plan: FramePlan,
  chain: number,
  committedMs = 0,
): number {
  const { storage, partition, progress, nowMs } = target;
  const { recordsEnd, recordCount, firstSequence, atMs, offset, segmentNumber, epoch } = plan;
  const next = sealFrame(
    bytes,
    view,
    recordsEnd,
    recordCount,
    firstSequence,
    atMs,
    offset,
    chain,
    partition,
    segmentNumber,
    epoch,
  );
  const frameBytes = frameBytesFor(recordsEnd - frameHeaderBytes);
  // The point of no return: from here the frame may be on disk, whatever the storage reports.
  storage.pwrite(file, bytes, frameBytes, offset);
  const syncedAtMs = nowMs();
  storage.fdatasync(file);
  const syncMs = committedMs + nowMs() - syncedAtMs;
  progress.countBatch(recordCount, frameBytes, syncMs * 1e6);
  progress.publishDurable(firstSequence + recordCount - 1);
  return next;
}

/** Writes on the caller's own thread: what is committed is durable when commit() returns. */
export class InlineFrameSink implements FrameSink {
  readonly frames: readonly [Uint8Array, Uint8Array];
  readonly #views: readonly [DataView, DataView];
  readonly #target: FrameTarget;
  chain = 0;
  #failed: JournalFailedError | undefined;

  constructor(target: FrameTarget, frameBytesMax: number) {
    this.#target = target;
    this.frames = [new Uint8Array(frameBytesMax), new Uint8Array(frameBytesMax)];
    this.#views = [new DataView(this.frames[0].buffer), new DataView(this.frames[1].buffer)];
  }

  begin(holds: boolean): boolean {
    if (this.#failed !== undefined) throw this.#failed;
    return !holds;
  }

  commit(index: 0 | 1, frame: Frame): void {
    try {
      this.chain = writeFrame(this.#target, frame.file, this.frames[index], this.#views[index], frame, this.chain);
    } catch (error) {
      this.#failed = new JournalFailedError(this.#target.partition, error);
      throw this.#failed;
    }
  }

  release(): void {
    // Nothing is ever waiting here.
  }

  drain(): void {
    if (this.#failed !== undefined) throw this.#failed;
  }
}

/** How a partition's thread writes small frames itself. */
export interface OwnWriting {
  readonly target: FrameTarget;
  /** Frames of more records are the syncer's: while it writes, this thread decides the next ones. */
  readonly recordsMax: number;
  /** A frame could not be made durable. Called once. */
  failed(message: string): void;
}

/**
 * Hands the frames to the syncer's thread (sync.worker.ts), or writes them itself where that is sooner: waking the
 * syncer costs as much as deciding several messages. It does so only while the syncer has no frame, so each frame
 * follows the one before it on the disk.
 */
export class ThreadFrameSink implements FrameSink {
  readonly frames: readonly [Uint8Array, Uint8Array];
  readonly #exchange: FrameExchange;
  readonly #partition: number;
  readonly #own: OwnWriting | null;
  readonly #views: readonly DataView[];
  /** Another batch waits for this thread: it shall not wait for the disk as well. */
  isAwaited = false;

  /** @param own null: every frame is the syncer's */
  constructor(exchange: FrameExchange, partition: number, own: OwnWriting | null = null) {
    this.#exchange = exchange;
    this.#partition = partition;
    this.#own = own;
    this.frames = exchange.frames;
    this.#views = this.frames.map((frame) => new DataView(frame.buffer, frame.byteOffset, frame.byteLength));
  }

  get chain(): number {
    return this.#exchange.chain;
  }
  set chain(value: number) {
    this.#exchange.chain = value;
  }

  begin(holds: boolean): boolean {
    return this.#alive(() => this.#exchange.begin(holds));
  }

  commit(index: 0 | 1, frame: Frame): void {
    const own = this.#own;
    if (own !== null && !this.isAwaited && frame.recordCount <= own.recordsMax && this.#exchange.isIdle) {
      this.#write(own, index, frame);
    } else {
      this.#alive(() => this.#exchange.commit(index, frame));
    }
  }

  #write({ target, failed }: OwnWriting, index: 0 | 1, frame: Frame): void {
    try {
      this.chain = writeFrame(target, frame.file, this.frames[index], this.#views[index]!, frame, this.chain);
    } catch (error) {
      this.#exchange.fail();
      failed(error instanceof Error ? error.message : String(error));
      throw new JournalFailedError(this.#partition, error);
    }
    this.#exchange.release(index, false);
  }

  release(index: 0 | 1, holds: boolean): void {
    this.#alive(() => this.#exchange.release(index, holds));
  }

  drain(): void {
    this.#alive(() => this.#exchange.drain());
  }

  #alive<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      if (error instanceof ExchangeFailedError) throw new JournalFailedError(this.#partition, error);
      throw error;
    }
  }
}
