/** What /health and /readyz say. */
import { join } from 'node:path';
import t from 'tap';
import { createProgress } from '../exchange/progress.js';
import type { PartitionState } from '../ledger/owned-partition.js';
import { Health, type HealthParts } from './health.js';
import { JournalRoom } from './journal-room.js';
import { MarqetaWatch } from './marqeta-watch.js';
import { SettleWatch, stallMsMax } from './settle-watch.js';

const journalSizes = { segmentBytes: 1, frameBytesMax: 1, segmentsMax: 16 };
const noCalls = { approved: 0, declined: 0, malformed: 0, unauthorized: 0, unavailable: 0 };

/** An engine of two partitions whose every part can be made to fail. */
function engine(dataDir: string) {
  const { partitions } = createProgress(2);
  const clock = { nowMs: 0 };
  const hosts = partitions.map((progress, partition) => ({
    partition,
    state: 'ready' as PartitionState,
    failure: '',
    progress,
  }));
  const feed = { isStale: false };
  const ownership = { isLapsed: false, elsewhere: (partition: number) => (partition === 1 ? '' : 'no engine has it') };
  const config = { journal: 'local', journalSizes } as const;
  // It looked half a minute ago, and now.
  const settling = new SettleWatch(partitions, performance.now() - stallMsMax);
  const healthy = { status: 'healthy', detail: '' } as const;
  const health = new Health({
    config,
    database: { ping: async () => undefined } as HealthParts['database'],
    hosts,
    shipper: { failure: '', trouble: 'connection refused' },
    settling,
    feed: {
      health: () => ({ feed: healthy, redis: healthy }),
      get isStale() {
        return feed.isStale;
      },
    },
    setApart: { detail: '' },
    ownership,
    room: new JournalRoom(config, join(dataDir, 'journal'), hosts, () => clock.nowMs),
    memory: { problem: () => '', detail: () => '' },
    marqeta: new MarqetaWatch(() => noCalls),
  });
  return { health, hosts, feed, ownership, clock, settling };
}

t.test('a journal that is nearly full shows in the health answer before messages are declined', async (t) => {
  const { health, hosts } = engine(t.testdir({ journal: { p0: {}, p1: {} } }));
  const { progress } = hosts[1]!;
  progress.setFiles(13, 1);
  t.match((await health.report()).components['journal'], { status: 'healthy' });
  progress.setFiles(14, 0);
  t.match((await health.report()).components['journal'], {
    status: 'unhealthy',
    detail: /partition 1 has 14 segments .* until Postgres has taken/,
  });
});

t.test('settling without progress and a quarantined record make the engine unhealthy', async (t) => {
  const { health, settling } = engine(t.testdir({ journal: { p0: {}, p1: {} } }));
  settling.look(performance.now());
  t.match(await health.report(), { status: 'healthy', components: { settling: { status: 'healthy' } } });
  const stuck = engine(t.testdir({ journal: { p0: {}, p1: {} } }));
  stuck.hosts[1]!.progress.publishDurable(7);
  t.match(await stuck.health.report(), {
    status: 'unhealthy',
    components: { settling: { detail: /^partition [01] has settled nothing for \d+ s.*connection refused/ } },
  });
  settling.quarantine = { count: 2, oldest: '0/17 (a): refused' };
  t.match(await health.report(), {
    status: 'unhealthy',
    components: { settling: { detail: /^2 records are quarantined, the oldest is 0\/17 \(a\): refused/ } },
  });
});

t.test('the engine is ready exactly while some message can be approved', async (t) => {
  const { health, hosts, feed, ownership } = engine(t.testdir({ journal: { p0: {}, p1: {} } }));
  t.match(health.notReady(), [/port is not open/]);
  health.serving();
  t.same(health.notReady(), []);

  ownership.isLapsed = true;
  t.match(health.notReady(), [/the lease of the ledger has lapsed/]);
  t.match(await health.report(), { status: 'unhealthy', components: { database: { detail: /nothing is approved/ } } });
  ownership.isLapsed = false;

  feed.isStale = true;
  t.match(health.notReady(), [/feed is stale/]);
  feed.isStale = false;

  hosts[0]!.state = 'failed';
  hosts[0]!.failure = 'a reason';
  t.same(health.notReady(), [], 'the other partition approves');
  hosts[1]!.state = 'restarting';
  t.match(health.notReady(), [/^partition 0 is failed: a reason; partition 1 is restarting$/]);
  hosts[0]!.state = 'ready';
  t.same(health.notReady(), []);
  hosts[0]!.progress.setRefusal('disk full');
  t.match(health.notReady(), [/partition 0 has no room \(disk full\): free space.*; partition 1 is restarting/]);

  let lease = '';
  health.addBlocker(() => lease);
  hosts[0]!.progress.setRefusal('');
  t.same(health.notReady(), []);
  lease = 'the lease has lapsed';
  t.same(health.notReady(), [lease]);
  health.stopping();
  t.equal(health.notReady().length, 2);
});

t.test('a journal that was full is ready again once there is room, without a new message', async (t) => {
  const { health, hosts, clock } = engine(t.testdir({ journal: { p0: {}, p1: {} } }));
  health.serving();
  for (const { progress } of hosts) {
    progress.setFiles(16, 0);
    progress.setRefusal('books lag');
  }
  await health.report();
  clock.nowMs = 10_000;
  t.match(health.notReady(), [/partition 1 has no room \(books lag\): Postgres/]);
  hosts[1]!.progress.setFiles(15, 0);
  t.same(health.notReady(), []);
  hosts[1]!.progress.setRefusal('disk full');
  t.match(health.notReady(), [/disk full/], 'a refusal of this moment counts, whatever room there seems to be');
  clock.nowMs = 13_000;
  t.same(health.notReady(), []);
});

t.test('a component that cannot be checked is not called healthy', async (t) => {
  const { health } = engine(t.testdir({}));
  const { components } = await health.report();
  t.match(components['mongodb'], { status: 'disabled', detail: /the account API/ });
  t.match(components['marqeta'], { status: 'disabled', detail: /no call of POST \/marqeta\/jit/ });
  t.match(components['disk'], { status: 'unhealthy', detail: /does not answer/ }, 'there is no journal folder');
});

t.test('a partition that another engine owns is no problem, one that no engine owns is', async (t) => {
  const { health, hosts } = engine(t.testdir({ journal: { p0: {}, p1: {} } }));
  health.serving();
  hosts[1]!.state = 'away';
  t.same(health.notReady(), []);
  t.match((await health.report()).components['journal'], { status: 'healthy' });
  hosts[0]!.state = 'away';
  t.match((await health.report()).components['journal'], { status: 'unhealthy', detail: 'no engine has it' });
});
