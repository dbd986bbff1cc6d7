/** Memory stays flat while changes come faster than they can be taken: bounds on what is kept, none on time. */
import t from 'tap';
import { type FloodMemory, formatFlood, measureFlood } from './flood.js';

t.setTimeout(0);

/** More than a collected heap differs from one look to the next, far less than a flood that is kept would take. */
const keptGrowthBytesMax = 12 * 2 ** 20;
/** What is in flight at once, in three queues at most (Redis, Postgres, lanes), and what the collector leaves lying. */
const peakGrowthBytesMax = 256 * 2 ** 20;
/** Entries ahead of missing ones (4,096), lane entries that wait (64 of 200 changes), a page, and what is in the lanes. */
const queuedMax = 32_768;

t.test('240,000 changes leave nothing behind in engine and API', async (t) => {
  const floods = 2;
  const result = await measureFlood({ cards: 20_000, changesOfEach: 4, floods }, (line) => t.comment(line));
  t.comment(`\n${formatFlood(result)}`);
  t.ok(result.changes >= 200_000);
  t.ok(result.cuts >= floods, 'Redis cut the engine off');
  t.ok(result.framesRepeated > 1000, 'frames were repeated');
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
});
