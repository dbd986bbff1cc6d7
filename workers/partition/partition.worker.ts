/**
 * Entry point of a partition's thread: a Piscina pool of one thread runs this file. Tasks: open the journal and say
 * what its unsettled tail touches; restore that state and replay the tail; then run slabs, one task each. The syncer's
 * thread (sync.worker.ts) makes durable what is decided here.
 *
 * The thread owns no socket and no timer: between tasks Piscina parks it in Atomics.wait, where neither would run.
 */
import { join } from 'node:path';
import { workerData } from 'node:worker_threads';
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
import { FrameExchange } from '../../engine/exchange/frame-exchange.js';
import type {
  AccountBooks,
  OpenTask,
  PartitionResult,
  PartitionStats,
  PartitionTask,
  PartitionWorkerData,
  TailKeys,
  WindowEntity,
} from '../../engine/exchange/partition-task.js';
import { Progress } from '../../engine/exchange/progress.js';
import { Slab } from '../../engine/exchange/slab.js';
import { compileNextCheck, loadSchemaCompiler } from '../../engine/protocols/reading/schema.js';
import { createCodecs } from '../../engine/protocols/registry.js';
import { ThreadFrameSink } from '../journal/frame-sink.js';
import { hashRecordId, readIds } from '../journal/id-files.js';
import { type JournalWriter, openJournal } from '../journal/journal.js';
import { JournalFailedError } from '../journal/journal-errors.js';
import { replayJournal } from '../journal/journal-reader.js';
import { openStorage } from '../journal/storage-module.js';
import { Partition } from './partition.js';
import { PartitionMemory } from './partition-memory.js';
import { SettledIds } from './settled-ids.js';

const data = workerData as PartitionWorkerData;
const progress = new Progress(data.progress).partitions[data.partition]!;
const slabs = data.slabs.map((buffer) => new Slab(data.slabSize, buffer));
const storage = await openStorage(data.postgresJournal !== null, data.storageModule, data.storageControl);
const sink = new ThreadFrameSink(new FrameExchange(data.exchange), data.partition);
const place = {
  storage,
  directory: join(data.journalDirectory, `p${data.partition}`),
  partition: data.partition,
  partitionCount: data.partitionCount,
};

const codecs = createCodecs(data.wire);

/** Part of the transaction store that tombstones may take at a start. */
const tombstoneShare = 0.25;

let journal: JournalWriter | null = null;
let partition: Partition | null = null;
let tail = { from: 1, to: 0 };
let settledIds: SettledIds | null = null;
let memory: PartitionMemory | undefined;

/**
 * Piscina's entry. A slab number runs that slab: true when it is decided (its answers wait until they are durable),
 * false when the journal has failed.
 */
export default function run(task: PartitionTask): PartitionResult {
  if (typeof task === 'number') return runSlab(task);
  switch (task.kind) {
    case 'prepare':
      return prepare();
    case 'open':
      return open(task);
    case 'restore':
      return restore(task.message);
    case 'ids':
      return takeIds(task.count);
    case 'stats':
      return stats();
    case 'accounts':
      return accounts(task.numbers);
    case 'windows':
      return windows(task.entities);
  }
}

function runSlab(index: number): boolean {
  assert(partition !== null, 'slabs come after restore');
  try {
    partition.run(slabs[index]!);
    return true;
  } catch (error) {
    // Memory is ahead of the disk now, and a failed sync is never tried again: this partition approves nothing more.
    if (error instanceof JournalFailedError) return false;
    throw error;
  }
}

function open({ settledSequence, settledRecord, epoch }: OpenTask): TailKeys {
  const sizes = data.journalSizes;
  const opened = openJournal({ ...place, sizes, progress, settledSequence, settledRecord, epoch, sink });
  journal = opened.writer;
  const openedAtMs = performance.now();
  tail = { from: settledSequence + 1, to: journal.lastSequence };
  settledIds = findSettledIds(opened.scan.firstSequence, settledSequence);
  const accounts = new Set<number>();
  const cards = new Set<number>();
  const users = new Set<number>();
  const userSpend = new Set<number>();
  const transactions = new Set<string>();
  const ids: number[] = [];
  const root = { start: 0, end: 0 };
  const records = replayJournal(place, tail.from, tail.to, (bytes, view, offset) => {
    const idLength = view.getUint16(offset + RecordOffset.idLength, true);
    if (data.partitionCount > 1) {
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
    idsKnown: settledIds !== null,
    keysMs: performance.now() - openedAtMs,
  };
}

function prepare(): boolean {
  memory = new PartitionMemory(data.size);
  loadSchemaCompiler();
  return true;
}

function oldestRemembered(newest: number): number {
  return Math.max(1, newest + 1 - data.size.seenIds);
}

/**
 * Ids of the settled messages to remember. Those of retired segments come from the files beside the journal, the others
 * from the journal. Null when some are not there, and with several partitions, whose front needs all of them.
 */
function findSettledIds(firstInJournal: number, settledSequence: number): SettledIds | null {
  if (data.partitionCount > 1) return null;
  const before = firstInJournal - 1;
  const ids = new SettledIds(before === 0 ? [] : readIds(storage, place.directory, place, oldestRemembered, before));
  const isComplete =
    before === 0 || (ids.lastSequence === before && ids.firstSequence <= oldestRemembered(settledSequence));
  if (!isComplete) return null;
  const hashes = new Uint32Array(Math.max(0, settledSequence - before) * 2);
  replayJournal(place, firstInJournal, settledSequence, (bytes, view, offset, sequence) =>
    hashRecordId(bytes, view, offset, hashes, sequence - firstInJournal),
  );
  ids.add({ firstSequence: firstInJournal, hashes });
  return ids;
}

function takeIds(count: number): boolean {
  assert(partition !== null, 'ids come after restore');
  const isLast = settledIds === null || settledIds.moveInto(partition.seen, count);
  if (isLast && settledIds !== null) {
    settledIds = null;
    partition.takeRows({ seenComplete: true });
  }
  return isLast;
}

/** Settled is not enough: an approval may yet be revoked, and its hold must be found then. */
function evictableSequence(): number {
  return Math.min(progress.settledSequence, progress.finalSequence);
}

function restore(message: PartitionRows): boolean {
  assert(journal !== null, 'restore comes after open');
  const built = new Partition(data.size, data.policy, journal, codecs, evictableSequence, memory);
  memory = undefined;
  built.restore(message);
  if (settledIds !== null) built.expectIds(settledIds);
  replayJournal(place, tail.from, tail.to, (bytes, view, offset, sequence, location) => {
    built.replay(bytes, view, offset, sequence, location);
  });
  // The newest ones, as long as they leave room for transactions that are alive.
  const tombstonesMax = Math.floor(data.size.transactions * tombstoneShare);
  built.takeRows({ transactions: message.tombstones?.slice(0, tombstonesMax) ?? [] });
  partition = built;
  return true;
}

function accounts(numbers: readonly number[]): (AccountBooks | null)[] {
  assert(partition !== null, 'accounts come after restore');
  const { accounts } = partition.books;
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

function windows(entities: readonly WindowEntity[]): (WindowUse | null)[] {
  assert(partition !== null, 'windows come after restore');
  const { spend } = partition.books;
  return entities.map(({ level, number, day }) => spend.use(level, number, day));
}

function stats(): PartitionStats {
  assert(partition !== null, 'stats come after restore');
  // Once a second, and never in the way of a start.
  compileNextCheck();
  const { accounts, users, spend, transactions } = partition.books;
  const { cards, counts } = partition;
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
    accounts: partition.books.accounts.size,
    cards: partition.cards.size,
    cardHits: partition.cardBooks.hits,
    cardMisses: partition.cardBooks.misses,
    transactions: partition.books.transactions.size,
    seenIds: partition.seen.size,
    spendRows: partition.books.spend.size,
    unknownFields: partition.unknownFields.of(codecs[Protocol.native]!),
  };
}
