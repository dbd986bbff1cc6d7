/**
 * What one message costs a partition's thread: reading, finding, deciding, journaling into the frame, writing the
 * answer; everything but the disk. One card asked again and again, and cards at random from few and from many: the
 * difference is what memory costs, since many do not fit into a cache. `node dist/bench/micro/partition.js [batches]
 * [entries per batch] [cards …]`.
 */
import { Protocol } from '../../engine/core/codes.js';
import type { PartitionRows } from '../../engine/core/partition-rows.js';
import { EntryStatus, Slab } from '../../engine/exchange/slab.js';
import { nativeCodec, testMarqetaCodec } from '../../engine/protocols/testing/test-codecs.js';
import { Partition } from '../../workers/partition/partition.js';
import type { PartitionJournal } from '../../workers/partition/partition-journal.js';
import { Random } from '../load/random.js';
import { isMain } from '../run.js';

const dayMs = 86_400_000;
/** A hot card, as many as fit into the processor's caches, and far more than fit. */
const cardCounts = [1, 10_000, 1_000_000];
/** Cards per message: bounds the time that taking them over needs. */
const cardsPerMessage = 1000;

/** A journal that keeps nothing: the disk is measured in journal.ts. */
class NoJournal implements PartitionJournal {
  readonly frame = new Uint8Array(4 * 1024 * 1024);
  readonly view = new DataView(this.frame.buffer);
  readonly recordsStart = 64;
  nextSequence = 1;
  get frameLocation(): number {
    return this.nextSequence * 4096;
  }
  reserve(): boolean {
    return true;
  }
  append(_end: number, count: number): number {
    this.nextSequence += count;
    return this.nextSequence - 1;
  }
  release(): void {}
  read(): number {
    return 0;
  }
}

/** A partition with room for so many cards, each with an account and a user of its own. */
export function partitionFor(cardCount: number): Partition {
  const journal = new NoJournal();
  const codecs = [];
  codecs[Protocol.native] = nativeCodec;
  codecs[Protocol.marqeta] = testMarqetaCodec();
  const size = {
    accounts: Math.max(2 ** 16, cardCount),
    users: Math.max(2 ** 16, cardCount),
    cards: Math.max(2 ** 16, cardCount),
    spendRows: Math.max(2 ** 18, 4 * cardCount),
    transactions: 2 ** 18,
    seenIds: 2 ** 20,
  };
  const policy = {
    holdMs: 7 * dayMs,
    holdLongMs: 30 * dayMs,
    refundRestoresWindows: false,
    wholeAmountsOnly: [Protocol.marqeta],
  };
  // Everything counts as settled at once, so that the oldest transactions make room for ever.
  const partition = new Partition(size, policy, journal, codecs, () => journal.nextSequence);
  partition.takeRows({ seenComplete: true });
  return partition;
}

/** The rows that a lookup brings of the cards from `first` to `last`. */
export function cardRows(first: number, last: number): PartitionRows {
  const numbers = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  const common = { version: 1, status: 0 as const, limits: null };
  return {
    accounts: numbers.map((number) => ({
      ...common,
      number,
      currency: 'USD',
      timeZone: 'UTC',
      partialApproval: true,
      funds: 1e12,
      held: 0,
      posted: 0,
    })),
    users: numbers.map((number) => ({ ...common, number })),
    cards: numbers.map((number) => ({
      ...common,
      number,
      token: token(number),
      expiresDay: 47_481,
      accountNumber: number,
      userNumber: number,
    })),
  };
}

export function token(number: number): string {
  return `card_${String(number).padStart(6, '0')}_1`;
}

/**
 * Nanoseconds per authorization of a card at random, once every card was asked, which warms the compiler up too. The
 * median batch: what the machine's other guests take now and then is theirs.
 */
export function measurePartition(batches: number, entries: number, cardCount = 10_000): number {
  const partition = partitionFor(cardCount);
  for (let first = 1; first <= cardCount; first += cardsPerMessage) {
    partition.takeRows(cardRows(first, Math.min(cardCount, first + cardsPerMessage - 1)));
  }
  const slab = new Slab({ entries: 2048, requestBytes: 4 * 1024 * 1024 });
  const random = new Random(1, 0);
  const warmUpBatches = Math.max(Math.ceil(cardCount / entries), batches);
  let id = 0;
  let approvedCount = 0;
  const batchNs: number[] = [];
  for (let batch = 0; batch < warmUpBatches + batches; batch++) {
    slab.clear();
    for (let entry = 0; entry < entries; entry++) {
      const card = token(1 + (batch < warmUpBatches ? id % cardCount : random.below(cardCount)));
      const body =
        `{"id":"bench-${String(++id).padStart(10, '0')}","type":"authorization","card":"${card}",` +
        `"amount":${100 + (id % 400)},"currency":"USD",` +
        '"merchant":{"id":"m-1","name":"Corner Store","mcc":"5411","country":"US"},"channel":"chip"}';
      slab.add(Protocol.native, 0, Date.now(), Buffer.from(body));
    }
    slab.seal(Date.now(), 1000);
    const startedAt = process.hrtime.bigint();
    partition.run(slab);
    if (batch >= warmUpBatches) batchNs.push(Number(process.hrtime.bigint() - startedAt));
    for (let entry = 0; entry < entries; entry++)
      if (slab.status[entry] === EntryStatus.decided && slab.answerFlags[entry]! & 1) approvedCount++;
  }
  if (approvedCount !== id) throw new Error(`${id - approvedCount} messages were not approved`);
  return batchNs.sort((a, b) => a - b)[batches >> 1]! / entries;
}

if (isMain(import.meta.url)) {
  const [batches = 10_000, entries = 64, ...counts] = process.argv.slice(2).map(Number);
  for (const cardCount of counts.length > 0 ? counts : cardCounts) {
    const ns = measurePartition(batches, entries, cardCount);
    const of = cardCount === 1 ? 'one card' : `any of ${cardCount.toLocaleString('en-US')} cards`;
    process.stdout.write(`partition: ${Math.round(ns)} ns per authorization of ${of}, batches of ${entries}\n`);
  }
}
