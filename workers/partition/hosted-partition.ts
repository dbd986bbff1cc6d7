/**
 * A partition on its thread, beside others: its memory, its journal, and what the front asks of it. Tasks: open the
 * journal and say what its unsettled tail touches; restore that state and replay the tail; then run slabs. The
 * syncer's thread makes durable what is decided here.
 */
import { Protocol } from '../../engine/core/codes.js';
import { hash64, hashHigh, hashLow } from '../../engine/core/hash.js';
import { assert } from '../../engine/core/invariant.js';
import type { PartitionRows } from '../../engine/core/partition-rows.js';
import {
  followsTransaction,
  RecordOffset,
  readCardSpend,
  readRecordRoot,
  readUserSpend,
  recordFixedBytes,
} from '../../engine/core/record.js';
import type { WindowUse } from '../../engine/core/spend.js';
import type { Doorbell } from '../../engine/exchange/doorbell.js';
import { FrameExchange } from '../../engine/exchange/frame-exchange.js';
import type {
  AccountBooks,
  HostedTask,
  MakeTask,
  OpenTask,
  PartitionResult,
  PartitionStats,
  PartitionThreadData,
  StoredDecision,
  TailKeys,
  WindowEntity,
} from '../../engine/exchange/partition-task.js';
import type { PartitionProgress, Progress } from '../../engine/exchange/progress.js';
import { fullBatchMin, Slab } from '../../engine/exchange/slab.js';
import { compileNextCheck } from '../../engine/protocols/reading/schema.js';
import type { Codecs } from '../../engine/protocols/registry.js';
import { ThreadFrameSink } from '../journal/frame-sink.js';
import { hashRecordId, readIds } from '../journal/id-files.js';
import { type JournalWriter, openJournal } from '../journal/journal.js';
import { JournalFailedError } from '../journal/journal-errors.js';
import { replayJournal } from '../journal/journal-reader.js';
import type { JournalPlace } from '../journal/journal-recovery.js';
import { partitionDirectory } from '../journal/segment-files.js';
import type { Storage } from '../journal/storage.js';
import { Partition } from './partition.js';
import { PartitionMemory } from './partition-memory.js';
import { SettledIds } from './settled-ids.js';

/** What the partitions of a thread share. */
export interface PartitionThread {
  readonly data: PartitionThreadData;
  readonly storage: Storage;
  readonly bell: Doorbell | null;
  readonly codecs: Codecs;
  readonly progress: Progress;
  /** The thread could not make a frame of the partition durable that it wrote itself. */
  journalFailed(partition: number, message: string): void;
}

/** Part of the transaction store that tombstones may take at a start. */
const tombstoneShare = 0.25;

/** A frame of more records is the syncer's: while that writes it, this thread decides the next one. */
const ownRecordsMax = fullBatchMin - 1;

export class HostedPartition {
  readonly #data: PartitionThreadData;
  readonly #codecs: Codecs;
  readonly #slabs: readonly Slab[];
  readonly #progress: PartitionProgress;
  readonly #sink: ThreadFrameSink;
  readonly #place: JournalPlace;
  #journal: JournalWriter | null = null;
  #partition: Partition | null = null;
  #tail = { from: 1, to: 0 };
  #settledIds: SettledIds | null = null;
  #memory: PartitionMemory | undefined;

  constructor(thread: PartitionThread, { partition, slabs, exchange }: MakeTask) {
    const { data, storage, bell, codecs, progress, journalFailed } = thread;
    this.#data = data;
    this.#codecs = codecs;
    this.#slabs = slabs.map((buffer) => new Slab(data.slabSize, buffer));
    this.#progress = progress.partitions[partition]!;
    const target = { storage, partition, progress: this.#progress, nowMs: () => performance.now() };
    const own = { target, recordsMax: ownRecordsMax, failed: (error: string) => journalFailed(partition, error) };
    this.#sink = new ThreadFrameSink(new FrameExchange(exchange, bell), partition, bell === null ? own : null);
    const { partitionCount } = data;
    this.#place = {
      storage,
      directory: partitionDirectory(data.journalDirectory, partition),
      partition,
      partitionCount,
      isCopy: data.bell !== null,
    };
    this.#memory = new PartitionMemory(data.size);
  }

  /** Gives its files back; its syncer may be gone. */
  close(): void {
    try {
      this.#journal?.close();
    } catch (error) {
      if (!(error instanceof JournalFailedError)) throw error;
    }
  }

  run(task: HostedTask): PartitionResult {
    switch (task.kind) {
      case 'open':
        return this.#open(task);
      case 'restore':
        return this.#restore(task.message);
      case 'ids':
        return this.#takeIds(task.count);
      case 'stats':
        return this.#stats();
      case 'accounts':
        return this.#accounts(task.numbers);
      case 'windows':
        return this.#windows(task.entities);
      case 'decision':
        return this.#decision(task.id);
    }
  }

  /** @param isAwaited another slab waits behind it */
  runSlab(index: number, isAwaited: boolean): boolean {
    assert(this.#partition !== null, 'slabs come after restore');
    this.#sink.isAwaited = isAwaited;
    try {
      this.#partition.run(this.#slabs[index]!);
      return true;
    } catch (error) {
      // Memory is ahead of the disk now, and a failed sync is never tried again: this partition approves nothing more.
      if (error instanceof JournalFailedError) return false;
      throw error;
    }
  }

  /**
   * Whether the front needs a message about a slab that was run. It needs none where its syncer will send one: for few
   * messages that left something to be made durable. Many shall not hold up the next slab until the disk has them.
   */
  isNews(index: number): boolean {
    const slab = this.#slabs[index]!;
    return slab.count >= fullBatchMin || slab.lastSequence <= this.#progress.durableSequence;
  }

  #open({ settledSequence, settledRecord, epoch }: OpenTask): TailKeys {
    const sizes = this.#data.journalSizes;
    const opened = openJournal({
      ...this.#place,
      sizes,
      progress: this.#progress,
      settledSequence,
      settledRecord,
      epoch,
      sink: this.#sink,
    });
    this.#journal = opened.writer;
    const openedAtMs = performance.now();
    this.#tail = { from: settledSequence + 1, to: this.#journal.lastSequence };
    this.#settledIds = this.#findSettledIds(opened.scan.firstSequence, settledSequence);
    const accounts = new Set<number>();
    const cards = new Set<number>();
    const users = new Set<number>();
    const userSpend = new Set<number>();
    const transactions = new Set<string>();
    const ids: number[] = [];
    const root = { start: 0, end: 0 };
    const records = replayJournal(this.#place, this.#tail.from, this.#tail.to, (bytes, view, offset) => {
      const idLength = view.getUint16(offset + RecordOffset.idLength, true);
      if (this.#data.frontKnowsIds) {
        hash64(bytes, offset + recordFixedBytes, offset + recordFixedBytes + idLength);
        ids.push(idLength > 0 ? hashLow : 0, idLength > 0 ? hashHigh : 0);
      }
      const account = view.getFloat64(offset + RecordOffset.accountNumber, true);
      if (account === 0) return;
      accounts.add(account);
      const card = readCardSpend(view, offset);
      // A ledger command has an account and no card.
      if (card !== 0) {
        cards.add(card);
        users.add(view.getFloat64(offset + RecordOffset.userNumber, true));
        const spend = readUserSpend(view, offset);
        if (spend !== 0) userSpend.add(spend);
      }
      if (!followsTransaction(view, offset)) return;
      readRecordRoot(view, offset, root);
      transactions.add(Buffer.from(bytes.subarray(root.start, root.end)).toString('utf8'));
    });
    return {
      records,
      accounts: [...accounts],
      cards: [...cards],
      users: [...users],
      userSpend: [...userSpend],
      transactions: [...transactions],
      idHashes: Uint32Array.from(ids),
      cut:
        opened.scan.torn === undefined
          ? ''
          : `${opened.scan.torn.file} at ${opened.scan.torn.offset}: ${opened.scan.torn.detail}`,
      notes: opened.scan.notes,
      idsKnown: this.#settledIds !== null,
      keysMs: performance.now() - openedAtMs,
    };
  }

  #oldestRemembered(newest: number): number {
    return Math.max(1, newest + 1 - this.#data.size.seenIds);
  }

  /**
   * Ids of the settled messages to remember. Those of retired segments come from the files beside the journal, the
   * others from the journal. Null when some are not there, and where the front needs all of them.
   */
  #findSettledIds(firstInJournal: number, settledSequence: number): SettledIds | null {
    if (this.#data.frontKnowsIds) return null;
    const before = firstInJournal - 1;
    const { storage, directory } = this.#place;
    const ids = new SettledIds(
      before === 0 ? [] : readIds(storage, directory, this.#place, (newest) => this.#oldestRemembered(newest), before),
    );
    const isComplete =
      before === 0 || (ids.lastSequence === before && ids.firstSequence <= this.#oldestRemembered(settledSequence));
    if (!isComplete) return null;
    const hashes = new Uint32Array(Math.max(0, settledSequence - before) * 2);
    replayJournal(this.#place, firstInJournal, settledSequence, (bytes, view, offset, sequence) =>
      hashRecordId(bytes, view, offset, hashes, sequence - firstInJournal),
    );
    ids.add({ firstSequence: firstInJournal, hashes });
    return ids;
  }

  #takeIds(count: number): boolean {
    assert(this.#partition !== null, 'ids come after restore');
    const isLast = this.#settledIds === null || this.#settledIds.moveInto(this.#partition.seen, count);
    if (isLast && this.#settledIds !== null) {
      this.#settledIds = null;
      this.#partition.takeRows({ seenComplete: true });
    }
    return isLast;
  }

  #restore(message: PartitionRows): boolean {
    assert(this.#journal !== null, 'restore comes after open');
    const { size, policy } = this.#data;
    // Settled is not enough: an approval may yet be revoked, and its hold must be found then.
    const final = () => this.#progress.finalSequence;
    const evictable = () => Math.min(this.#progress.settledSequence, final());
    const built = new Partition(size, policy, this.#journal, this.#codecs, evictable, this.#memory, final);
    this.#memory = undefined;
    built.restore(message);
    if (this.#settledIds !== null) built.expectIds(this.#settledIds);
    replayJournal(this.#place, this.#tail.from, this.#tail.to, (bytes, view, offset, sequence, location) => {
      built.replay(bytes, view, offset, sequence, location);
    });
    // The newest ones, as long as they leave room for transactions that are alive.
    const tombstonesMax = Math.floor(size.transactions * tombstoneShare);
    built.takeRows({ transactions: message.tombstones?.slice(0, tombstonesMax) ?? [] });
    this.#partition = built;
    return true;
  }

  #accounts(numbers: readonly number[]): (AccountBooks | null)[] {
    assert(this.#partition !== null, 'accounts come after restore');
    const { accounts } = this.#partition.books;
    return numbers.map((number) => {
      const slot = accounts.find(number);
      if (slot < 0) return null;
      return {
        funds: accounts.funds(slot),
        available: accounts.available(slot),
        held: accounts.held(slot),
        posted: accounts.posted(slot),
      };
    });
  }

  #windows(entities: readonly WindowEntity[]): (WindowUse | null)[] {
    assert(this.#partition !== null, 'windows come after restore');
    const { spend } = this.#partition.books;
    return entities.map(({ level, number, day }) => spend.use(level, number, day));
  }

  #decision(id: string): StoredDecision | null {
    assert(this.#partition !== null, 'looks at decisions come after restore');
    return this.#partition.decision(Buffer.from(id));
  }

  #stats(): PartitionStats {
    assert(this.#partition !== null, 'stats come after restore');
    // Once a second, and never in the way of a start.
    compileNextCheck();
    const { accounts, users, spend, transactions } = this.#partition.books;
    const { cards, counts } = this.#partition;
    return {
      memory: {
        accounts: { rows: accounts.size, evictions: accounts.departures.count, full: counts.fullAccounts },
        users: { rows: users.size, evictions: users.evictions, full: 0 },
        spend: { rows: spend.size, evictions: spend.departures.count, full: counts.fullSpend },
        cards: { rows: cards.size, evictions: cards.evictions, full: 0 },
        transactions: {
          rows: transactions.size,
          evictions: transactions.departures.count,
          full: counts.fullTransactions,
        },
      },
      outdated: counts.outdated,
      accounts: this.#partition.books.accounts.size,
      cards: this.#partition.cards.size,
      cardHits: this.#partition.cardBooks.hits,
      cardMisses: this.#partition.cardBooks.misses,
      transactions: this.#partition.books.transactions.size,
      seenIds: this.#partition.seen.size,
      spendRows: this.#partition.books.spend.size,
      unknownFields: this.#partition.unknownFields.of(this.#codecs[Protocol.native]!),
    };
  }
}
