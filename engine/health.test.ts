/** What /health says of the journal. */
import t from 'tap';
import type { EngineConfig } from './config.js';
import { createProgress } from './core/progress.js';
import type { Database } from './database.js';
import type { EngineFeed } from './feed/feed.js';
import { Health } from './health.js';
import type { PartitionHost } from './partition-host.js';
import type { ShipperClient } from './shipper-client.js';

t.test('a journal that has all its segments says what that means before it declines', async (t) => {
  const progress = createProgress(1).partitions[0]!;
  const host = { partition: 0, state: 'ready', failure: '', progress } as unknown as PartitionHost;
  const healthy = { status: 'healthy', detail: '' } as const;
  const health = new Health(
    { dataDir: '.', journalSizes: { segmentBytes: 1, frameBytesMax: 1, segmentsMax: 4 } } as EngineConfig,
    { ping: async () => undefined } as unknown as Database,
    [host],
    { failure: '' } as unknown as ShipperClient,
    { health: () => ({ feed: healthy, redis: healthy }) } as unknown as EngineFeed,
  );
  progress.setFiles(3, 1);
  t.match((await health.report()).components['journal'], { status: 'healthy' });
  progress.setFiles(4, 0);
  t.match((await health.report()).components['journal'], {
    status: 'unhealthy',
    detail: /partition 0 has 4 segments .* until Postgres has taken/,
  });
});
