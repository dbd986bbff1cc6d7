/**
 * Runs what a partition runs, before this thread has one. The first messages of a cold thread wait for the compiler:
 * that takes tens of milliseconds of processor time, and on a busy machine much longer. A partition of its own decides
 * small batches, its records go through a journal in a scratch folder, and a second partition replays them. Nothing of
 * it leaves the thread.
 *
 * The thread may host partitions already. So the work is cut into steps of a few milliseconds (WarmUp.step).
 */
import { join } from 'node:path';
import { Protocol } from '../../engine/core/codes.js';
import type { PartitionRows } from '../../engine/core/partition-rows.js';
import { FrameExchange, type FramePlan } from '../../engine/exchange/frame-exchange.js';
import type { PartitionSize, PartitionThreadData } from '../../engine/exchange/partition-task.js';
import { createProgress } from '../../engine/exchange/progress.js';
import { AnswerFlag, EntryFlag, EntryKind, markBytes, Slab } from '../../engine/exchange/slab.js';
import type { Codecs } from '../../engine/protocols/registry.js';
import { type FrameTarget, ThreadFrameSink, writeFrame } from '../journal/frame-sink.js';
import { type JournalWriter, openJournal } from '../journal/journal.js';
import { replayJournal } from '../journal/journal-reader.js';
import type { JournalPlace } from '../journal/journal-recovery.js';
import { ScratchStorage } from '../journal/scratch-storage.js';
import { segmentName } from '../journal/segment-files.js';
import { Partition } from './partition.js';

/**
 * Measured with two messages a batch: on a cold thread the first takes 4 ms, and those around the tenth 150 µs. Behind
 * so many they take 0.3 ms and 30 µs. The warm-up costs 0.3 s of processor time; 1,000 cost 0.5 s and gain little more.
 */
const batches = 400;
/** Messages of other partitions wait for a step at most. */
const stepMs = 5;
const batchEntries = 3;
/** So many messages are about one card. One of them clears the one before it, and one repeats it. */
const turnMessages = 16;
const clearingTurn = 12;
const repeatTurn = 15;
/** Small, as the batches are where few messages come. */
const slabSize = { entries: 8, requestBytes: 16 * 1024 };
const cardCount = 64;
const size: PartitionSize = {
  accounts: 2 * cardCount,
  users: 2 * cardCount,
  cards: 2 * cardCount,
  spendRows: 16 * cardCount,
  transactions: 4096,
  seenIds: 8192,
};
const deadlineMs = 1000;
const fundsMinor = 1e9;
const far = 1_000_000;

export class WarmUp {
  readonly #data: PartitionThreadData;
  readonly #codecs: Codecs;
  readonly #storage = new ScratchStorage();
  readonly #place: JournalPlace;
  readonly #exchange: FrameExchange;
  readonly #views: readonly DataView[];
  readonly #target: FrameTarget;
  readonly #journal: JournalWriter;
  readonly #partition: Partition;
  readonly #slab = new Slab(slabSize);
  readonly #plan: FramePlan = {
    segmentNumber: 0,
    offset: 0,
    recordsEnd: 0,
    recordCount: 0,
    firstSequence: 0,
    atMs: 0,
    epoch: 0,
  };
  #batches = 0;
  #messages = 0;
  /** So that a test sees that it takes the way of an approval. */
  approvals = 0;

  constructor(data: PartitionThreadData, codecs: Codecs) {
    this.#data = data;
    this.#codecs = codecs;
    const { journalSizes: sizes, partitionCount } = data;
    const storage = this.#storage;
    const [progress] = createProgress(1).partitions;
    this.#place = {
      storage,
      directory: join(data.journalDirectory, 'warm-up'),
      partition: 0,
      partitionCount,
      isCopy: true,
    };
    this.#exchange = new FrameExchange(FrameExchange.create(sizes.frameBytesMax));
    this.#views = this.#exchange.frames.map((frame) => new DataView(frame.buffer, frame.byteOffset, frame.byteLength));
    this.#target = { storage, partition: 0, progress: progress!, nowMs: () => performance.now() };
    const sink = new ThreadFrameSink(this.#exchange, 0);
    const options = { ...this.#place, sizes, progress: progress!, settledSequence: 0, epoch: 1, sink };
    this.#journal = openJournal(options).writer;
    this.#partition = this.#made();
  }

  #made(): Partition {
    const settled = (): number => this.#journal.lastSequence;
    const partition = new Partition(size, this.#data.policy, this.#journal, this.#codecs, settled);
    partition.restore({ ...rows(), seenComplete: true });
    return partition;
  }

  /** @returns whether it was the last one; then nothing is left of the work */
  step(): boolean {
    const untilMs = performance.now() + stepMs;
    do {
      if (this.#batches === batches) {
        this.#replay();
        this.close();
        return true;
      }
      this.#decide(this.#batches++);
      this.#write();
    } while (performance.now() < untilMs);
    return false;
  }

  #decide(batch: number): void {
    const slab = this.#slab;
    const nowMs = Date.now();
    slab.clear();
    // As a lookup brings them.
    if (batch % 8 === 0) slab.add(EntryKind.rows, 0, nowMs, Buffer.from(JSON.stringify(rows(batch % cardCount))));
    for (let entry = 0; entry < batchEntries; entry++) {
      const body = this.#message(this.#messages++);
      // Every other one as if another engine had sent it.
      const isMarked = this.#messages % 2 === 0;
      const bytes = isMarked ? Buffer.concat([body, Buffer.alloc(markBytes)]) : body;
      slab.add(Protocol.native, isMarked ? EntryFlag.marked : 0, nowMs, bytes);
    }
    slab.seal(nowMs, deadlineMs);
    this.#partition.run(slab);
    for (let entry = 0; entry < slab.count; entry++) this.approvals += slab.answerFlags[entry]! & AnswerFlag.approved;
  }

  #message(number: number): Buffer {
    const turn = number % turnMessages;
    const id = `warm-${turn === repeatTurn ? number - 1 : number}`;
    const isFollowing = turn === clearingTurn;
    const type = isFollowing ? 'clearing' : 'authorization';
    const original = isFollowing ? `,"original":"warm-${number - 1}"` : '';
    const card = tokenOf(Math.floor(number / turnMessages));
    const purchase = '"merchant":{"id":"m-1","name":"Corner Store","mcc":"5411","country":"US"},"channel":"chip"';
    return Buffer.from(
      `{"id":"${id}","type":"${type}","card":"${card}","amount":100,"currency":"USD"${original},${purchase}}`,
    );
  }

  /** What the syncer does once a frame has its place (journal/synced-partition.ts). */
  #write(): void {
    const exchange = this.#exchange;
    while (exchange.ready >= 0) {
      const index = exchange.next();
      exchange.readPlan(index, this.#plan);
      const file = this.#storage.open(join(this.#place.directory, segmentName(this.#plan.segmentNumber)));
      const frame = exchange.frames[index];
      exchange.chain = writeFrame(this.#target, file, frame, this.#views[index]!, this.#plan, exchange.chain);
      this.#storage.close(file);
      exchange.finish();
    }
  }

  #replay(): void {
    const again = this.#made();
    replayJournal(this.#place, 1, this.#journal.lastSequence, (bytes, view, offset, sequence, location) => {
      again.replay(bytes, view, offset, sequence, location);
    });
  }

  close(): void {
    this.#journal.close();
    const { directory } = this.#place;
    for (const name of this.#storage.list(directory)) this.#storage.remove(join(directory, name));
  }
}

function tokenOf(number: number): string {
  return `card_warm_${1 + (number % cardCount)}`;
}

/** @param only the card with that index; absent: all of them */
function rows(only?: number): PartitionRows {
  const numbers = only === undefined ? Array.from({ length: cardCount }, (_, index) => index + 1) : [only + 1];
  const common = { version: 1, status: 0 as const, limits: null };
  const books = { currency: 'USD', timeZone: 'UTC', partialApproval: false, funds: fundsMinor, held: 0, posted: 0 };
  return {
    accounts: numbers.map((number) => ({ ...common, ...books, number })),
    users: numbers.map((number) => ({ ...common, number })),
    cards: numbers.map((number) => ({
      ...common,
      number,
      token: tokenOf(number - 1),
      expiresDay: far,
      accountNumber: number,
      userNumber: number,
    })),
  };
}
