/** Memory stays flat while changes come faster than they can be taken: bounds on what is kept, none on time. */
import t, { type Test } from 'tap';
import { type FloodMemory, type FloodResult, formatFlood, measureFlood } from './flood.js';

t.setTimeout(0);

/** More than a collected heap differs from one look to the next, far less than a flood that is kept would take. */
const keptGrowthBytesMax = 12 * 2 ** 20;
/** What is in flight at once, in three queues at most (Redis, Postgres, lanes), and what the collector leaves lying. */
const peakGrowthBytesMax = 256 * 2 ** 20;
/**
 * Entries ahead of missing ones (4,096), lane entries that wait (64 of 200 changes), a page, and what is in the lanes.
 */
const queuedMax = 32_768;

const floods = 2;

t.test('240,000 changes by Redis leave no memory behind in engine and API', async (t) => {
  const result = await measureFlood({ cards: 20_000, changesOfEach: 4, floods, withRedis: true }, (line) =>
    t.comment(line),
  );
  t.ok(result.changes >= 200_000);
  t.ok(result.cuts >= floods, 'Redis cut the engine off');
  t.ok(result.packetsRepeated > 1000, 'packets were repeated');
  isFlat(t, result);
});

t.test('240,000 changes by LISTEN/NOTIFY leave no memory behind in engine and API', async (t) => {
  const result = await measureFlood({ cards: 10_000, changesOfEach: 3, floods, withRedis: false }, (line) =>
    t.comment(line),
  );
  isFlat(t, result);
});

function isFlat(t: Test, result: FloodResult): void {
  t.comment(`\n${formatFlood(result)}`);
  t.ok(result.queuedMax <= queuedMax, `at most ${result.queuedMax} changes waited in memory`);
  for (const name of ['engine', 'api'] as const) {
    const { kept, peakBytes }: FloodMemory = result[name];
    const [before, ...after] = kept;
    for (const { heapBytes, externalBytes } of after) {
      t.ok(
        heapBytes - before!.heapBytes < keptGrowthBytesMax,
        `heap of the ${name}: ${before!.heapBytes} → ${heapBytes}`,
      );
      const grownBytes = externalBytes - before!.externalBytes;
      t.ok(grownBytes < keptGrowthBytesMax, `buffers of the ${name}: ${before!.externalBytes} → ${externalBytes}`);
    }
    for (const peak of peakBytes) {
      t.ok(peak - before!.residentBytes < peakGrowthBytesMax, `resident in the ${name}: at most ${peak}`);
    }
  }
}
