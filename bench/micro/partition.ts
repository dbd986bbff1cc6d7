/**
 * What one message costs a partition's thread: reading, finding, deciding, journaling into the frame, writing the answer;
 * everything but the disk. `node dist/bench/micro/partition.js [batches] [entries per batch]`.
 */
import { Protocol } from '../../engine/core/codes.js';
import { Slab } from '../../engine/core/slab.js';
import { createMarqetaCodec } from '../../engine/wire/marqeta.js';
import { nativeCodec } from '../../engine/wire/native.js';
import { Partition, type PartitionJournal } from '../../workers/partition.js';
import { isMain } from '../run.js';

const dayMs = 86_400_000;
const accountCount = 10_000;

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

function build(): { partition: Partition; slab: Slab } {
  const journal = new NoJournal();
  const codecs = [];
  codecs[Protocol.native] = nativeCodec;
  codecs[Protocol.marqeta] = createMarqetaCodec();
  const size = {
    accounts: 2 ** 16,
    users: 2 ** 16,
    cards: 2 ** 16,
    spendRows: 2 ** 18,
    chains: 2 ** 18,
    seenIds: 2 ** 20,
  };
  const policy = { holdMs: 7 * dayMs, holdLongMs: 30 * dayMs, refundRestoresWindows: false };
  // Everything counts as settled at once, so that the oldest chains make room for ever.
  const partition = new Partition(size, policy, journal, codecs, () => journal.nextSequence);
  const numbers = Array.from({ length: accountCount }, (_, index) => index + 1);
  const common = { version: 1, status: 0 as const, limits: null };
  partition.load({
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
      expiresDay: 1e6,
      accountNumber: number,
      userNumber: number,
    })),
    seenComplete: true,
  });
  return { partition, slab: new Slab({ entries: 2048, requestBytes: 4 * 1024 * 1024 }) };
}

function token(number: number): string {
  return `card_${String(number).padStart(6, '0')}_1`;
}

/** Nanoseconds per authorization, over the second half of the batches: the first warms the compiler up. */
export function measurePartition(batches: number, entries: number): number {
  const { partition, slab } = build();
  let id = 0;
  let checked = 0;
  let decideNs = 0;
  for (let batch = 0; batch < batches; batch++) {
    slab.clear();
    for (let entry = 0; entry < entries; entry++) {
      const body = `{"id":"bench-${String(++id).padStart(10, '0')}","type":"authorization","card":"${token((id * 7919) % accountCount || 1)}","amount":${100 + (id % 400)},"currency":"USD","merchant":{"id":"m-1","name":"Corner Store","mcc":"5411","country":"US"},"channel":"chip"}`;
      slab.add(Protocol.native, 0, Date.now(), Buffer.from(body));
    }
    slab.seal(Date.now(), 1000);
    const startedAt = process.hrtime.bigint();
    partition.run(slab);
    if (batch >= batches / 2) decideNs += Number(process.hrtime.bigint() - startedAt);
    for (let entry = 0; entry < entries; entry++)
      if (slab.status[entry] === 200 && slab.answerFlags[entry]! & 1) checked++;
  }
  if (checked !== batches * entries) throw new Error(`${batches * entries - checked} messages were not approved`);
  return decideNs / (Math.ceil(batches / 2) * entries);
}

if (isMain(import.meta.url)) {
  const batches = Number(process.argv[2] ?? 4000);
  const entries = Number(process.argv[3] ?? 64);
  const ns = measurePartition(batches, entries);
  process.stdout.write(`partition: ${Math.round(ns)} ns per authorization, batches of ${entries}\n`);
}
