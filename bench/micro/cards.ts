/**
 * What a known card costs in a partition's memory, without the process around it. It loads cards as a lookup does, each
 * with an account and a user of its own. It requests the balance of each, and compares the resident memory. `node
 * --expose-gc dist/bench/micro/cards.js [cards]`: 1,000,000.
 */
import { Protocol } from '../../engine/core/codes.js';
import { EntryStatus, Slab } from '../../engine/exchange/slab.js';
import { isMain } from '../run.js';
import { cardRows, partitionFor, token } from './partition.js';

/** Few enough that what is measured is the cards and not the messages. */
const cardsPerBatch = 1000;

export interface CardMemory {
  readonly bytesPerCard: number;
  readonly loadNsPerCard: number;
}

/** Loads and asks every card once. Throws when a question is not approved. */
export function measureCards(cardCount: number): CardMemory {
  const partition = partitionFor(cardCount);
  const slab = new Slab({ entries: cardsPerBatch, requestBytes: 1024 * 1024 });
  // Once with the first cards, so that compiled code and buffers do not count as cards.
  const warmCount = Math.min(cardsPerBatch, cardCount);
  let loadNs = 0;
  let residentBefore = residentBytes();
  for (let first = 1; first <= cardCount; first += cardsPerBatch) {
    const last = Math.min(cardCount, first + cardsPerBatch - 1);
    const message = cardRows(first, last);
    const startedAt = process.hrtime.bigint();
    partition.takeRows(message);
    loadNs += Number(process.hrtime.bigint() - startedAt);
    slab.clear();
    for (let card = first; card <= last; card++) {
      const body = `{"id":"balance-${card}","type":"balance_inquiry","card":"${token(card)}"}`;
      slab.add(Protocol.native, 0, Date.now(), Buffer.from(body));
    }
    slab.seal(Date.now(), 1000);
    partition.run(slab);
    for (let entry = 0; entry < slab.count; entry++) {
      if (slab.status[entry] !== EntryStatus.decided)
        throw new Error(`the balance of ${token(first + entry)} was not answered`);
    }
    if (first === 1) residentBefore = residentBytes();
  }
  const bytes = residentBytes() - residentBefore;
  // Asked of the partition, so that it is alive when its memory is read.
  const known = partition.cards.size;
  if (known !== cardCount) throw new Error(`${known} of ${cardCount} cards are in memory`);
  return { bytesPerCard: bytes / Math.max(1, cardCount - warmCount), loadNsPerCard: loadNs / cardCount };
}

function residentBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

if (isMain(import.meta.url)) {
  const cardCount = Number(process.argv[2] ?? 1_000_000);
  const { bytesPerCard, loadNsPerCard } = measureCards(cardCount);
  process.stdout.write(
    `cards: ${Math.round(bytesPerCard)} bytes per card of ${cardCount.toLocaleString('en-US')}, ` +
      `${Math.round(loadNsPerCard)} ns to take each over\n`,
  );
}
