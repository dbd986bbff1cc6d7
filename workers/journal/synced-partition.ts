/**
 * One of the partitions that a syncer's thread serves with JOURNAL=postgres (postgres-sync.worker.ts): its frames, its
 * place in journal_frames, and its copy of the journal.
 */
import { join } from 'node:path';
import type { Doorbell } from '../../engine/exchange/doorbell.js';
import { FrameExchange, type FramePlan } from '../../engine/exchange/frame-exchange.js';
import type { PartitionProgress } from '../../engine/exchange/progress.js';
import type { JournalThreadData, SyncerOrder } from '../../engine/exchange/syncer-messages.js';
import type { FrameDatabase, PlacedFrame } from './frame-database.js';
import { FrameLog, type StoredFrame } from './frame-log.js';
import { type FrameTarget, writeFrame } from './frame-sink.js';
import { copyJournal } from './journal-copy.js';
import { frameHeaderBytes } from './segment.js';
import { partitionDirectory, segmentName } from './segment-files.js';
import type { FileId, Storage } from './storage.js';

type TakeOver = Extract<SyncerOrder, { kind: 'takeOver' }>;

export interface SyncedPartitionParts {
  readonly data: JournalThreadData;
  readonly storage: Storage;
  readonly database: FrameDatabase;
  readonly progress: PartitionProgress;
  readonly bell: Doorbell;
  readonly order: TakeOver;
}

export class SyncedPartition {
  readonly partition: number;
  readonly #exchange: FrameExchange;
  readonly #views: readonly DataView[];
  readonly #log: FrameLog;
  readonly #target: FrameTarget;
  readonly #parts: SyncedPartitionParts;
  readonly #directory: string;
  readonly #plan: FramePlan = {
    segmentNumber: 0,
    offset: 0,
    recordsEnd: 0,
    recordCount: 0,
    firstSequence: 0,
    atMs: 0,
    epoch: 0,
  };
  #index: 0 | 1 = 0;
  #file: FileId = -1;
  #fileNumber = 0;
  /** It left, or failed: what is still under way comes to nothing. */
  hasEnded = false;
  /** Something of its own is under way: its frames wait, and those of the others do not. */
  isBusy = true;

  constructor(parts: SyncedPartitionParts) {
    const { data, storage, database, progress, bell, order } = parts;
    const { partition, exchange, holder } = order;
    this.#parts = parts;
    this.partition = partition;
    this.#exchange = new FrameExchange(exchange, bell);
    this.#views = this.#exchange.frames.map((frame) => new DataView(frame.buffer, frame.byteOffset, frame.byteLength));
    this.#directory = partitionDirectory(data.journalDirectory, partition);
    this.#target = { storage, partition, progress, nowMs: () => performance.now() };
    const settledSequence = () => Math.min(progress.settledSequence, progress.finalSequence);
    this.#log = new FrameLog({ database, partition, holder, settledSequence });
  }

  /** @returns how many frames the copy has */
  async takeOver(): Promise<number> {
    const { data, storage, progress, order } = this.#parts;
    const { partition, epoch, settledSequence } = order;
    const nextSequence = await this.#log.takeOver(epoch, Date.now());
    this.#assertHere();
    const place = { storage, directory: this.#directory, partition, partitionCount: data.partitionCount };
    const options = { ...place, sizes: data.journalSizes, progress, settledSequence, epoch };
    return copyJournal(options, { framesBehind: (settled) => this.#framesBehind(settled) }, nextSequence);
  }

  /** Nothing more is written into the folder once the partition has left: its next place may have it already. */
  async *#framesBehind(settledSequence: number): AsyncGenerator<StoredFrame> {
    for await (const frame of this.#log.framesBehind(settledSequence)) {
      this.#assertHere();
      yield frame;
    }
    this.#assertHere();
  }

  #assertHere(): void {
    if (this.hasEnded) throw new Error(`partition ${this.partition} has left`);
  }

  /** A frame is there, and may be appended. */
  get isReady(): boolean {
    return !this.isBusy && !this.hasEnded && this.#exchange.ready >= 0;
  }

  get isUpkeepDue(): boolean {
    return this.#log.isUpkeepDue;
  }

  upkeep(): Promise<void> {
    return this.#log.upkeep();
  }

  /** The frame that is ready, at its place. */
  placed(): PlacedFrame {
    this.#index = this.#exchange.next();
    this.#exchange.readPlan(this.#index, this.#plan);
    const frame = this.#exchange.frames[this.#index];
    return this.#log.place(this.#plan, frame.subarray(frameHeaderBytes, this.#plan.recordsEnd));
  }

  /** @returns whether the frame has its place; false: it is to be placed again */
  resolve(frame: PlacedFrame): Promise<boolean> {
    return this.#log.resolve(frame);
  }

  appended(): void {
    this.#log.appended();
  }

  /**
   * The frame has its place: writes it into the copy, and says that it is durable. Throws what the storage throws; then
   * the copy lacks a frame, and nothing may follow.
   */
  finish(committedMs: number): void {
    const { storage } = this.#parts;
    const { segmentNumber } = this.#plan;
    if (segmentNumber !== this.#fileNumber) {
      this.#close();
      this.#file = storage.open(join(this.#directory, segmentName(segmentNumber)));
      this.#fileNumber = segmentNumber;
    }
    const [frame, view] = [this.#exchange.frames[this.#index], this.#views[this.#index]!];
    this.#exchange.chain = writeFrame(
      this.#target,
      this.#file,
      frame,
      view,
      this.#plan,
      this.#exchange.chain,
      committedMs,
    );
    this.#exchange.finish();
  }

  /** Takes no more frames. */
  end(): void {
    this.hasEnded = true;
    this.#exchange.fail();
    this.#close();
  }

  #close(): void {
    if (this.#file >= 0) this.#parts.storage.close(this.#file);
    this.#file = -1;
    this.#fileNumber = 0;
  }
}
