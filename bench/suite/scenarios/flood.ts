/**
 * Memory under a flood. Many cards are changed several times each, as fast as Postgres takes it. Meanwhile the engine
 * is suspended, Redis disconnects it for not reading, Redis itself hangs, and packets of the feed are repeated. What
 * engine and API keep after each flood, garbage collected, and what they took meanwhile. FLOOD_CARDS and FLOOD_CHANGES
 * (of each card) say how much; a first flood is not looked at: after it everything has happened once.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { tell } from '../../../deploy/testing/redis-admin.js';
import type { OwnRedis } from '../../../deploy/testing/test-redis.js';
import { packetChannel, readPacket } from '../../../engine/feed/feed-packet.js';
import { until } from '../../../engine/testing/engine-process.js';
import { type ProbedMemory, probeEnvironment, probeMemory } from '../../../engine/testing/probed-memory.js';
import { ChannelPublisher, RedisListener } from '../../../platform/redis/channel.js';
import { sealBytes } from '../../../platform/redis/seal.js';
import { ensureAccounts } from '../../accounts.js';
import { scrapeMetrics } from '../../metrics.js';
import { readResidentBytes } from '../../process-stats.js';
import { sizeFromEnvironment } from '../../run.js';
import type { ApiServer, Stack } from '../../stack.js';
import { askOnce, type Bench, balanceMinor, cardToken, goal, type Scenario } from '../bench.js';
import type { Goal, Sample, Series } from '../figures.js';
import { sampleFrom } from '../sample.js';
import { healMs, newestChange, untilInForce } from '../settled.js';

/** More than a collected heap differs from one look to the next, far less than a flood that is kept would take. */
const keptGrowthMiBMax = 12;
/** What is in flight at once, in three queues at most (Redis, Postgres, lanes), and what the collector leaves lying. */
const peakGrowthMiBMax = 256;
/**
 * Entries ahead of missing ones (4,096), lane entries that wait (64 of 200 changes), a page, and what is in the lanes.
 */
const queuedMax = 32_768;

/** Cards per statement. */
const chunk = 5000;
/** Subscribers that have so much unread are cut off: a thirtieth of what Redis allows by default. */
const unreadBytesMax = 1024 * 1024;
/** Packets that are kept to be repeated. */
const packetsMax = 100;
const repeats = 50;
/** Sent before Redis has answered the first of them. */
const unansweredMax = 100;
const sampleMs = 20;
const queueSampleMs = 100;

interface Size {
  readonly cards: number;
  /** Of each card in one flood: a third each before, while and after the engine stands still. */
  readonly changes: number;
}

export const flood: Scenario = {
  name: 'flood',
  title: 'Memory of engine and account API under a flood of changes',
  seconds: 240,
  engine: 'any',
  async run(bench) {
    const isSmoke = bench.scale.name === 'smoke';
    const size = isSmoke
      ? { cards: bench.scale.accountCount, changes: 3 }
      : { cards: sizeFromEnvironment('FLOOD_CARDS', 20_000), changes: sizeFromEnvironment('FLOOD_CHANGES', 4) };
    if (size.changes < 3) throw new Error(`FLOOD_CHANGES must be at least 3, not ${size.changes}`);
    await ensureAccounts({ databaseUrl: bench.stack.databaseUrl, count: size.cards, balanceMinor });
    const redis = await bench.redis();
    const ways = redis === null ? [null] : isSmoke ? [redis] : [redis, null];
    const series: Series[] = [];
    for (const way of ways) series.push(...(await floodBy(bench, size, way)));
    return {
      settings: { cards: size.cards, 'changes of each': size.changes },
      series,
      goals: series.flatMap(goalsOf),
      notes: redis === null ? ['There is no redis-server here: Redis was not measured.'] : [],
    };
  },
};

function goalsOf({ name, samples }: Series): Goal[] {
  return [
    goal(
      `${name}: heap and buffers that are kept grow by less than ${keptGrowthMiBMax} MiB`,
      samples,
      ({ heapGrowthMiB = 1e9, buffersGrowthMiB = 1e9 }) =>
        heapGrowthMiB < keptGrowthMiBMax && buffersGrowthMiB < keptGrowthMiBMax,
    ),
    goal(
      `${name}: at most ${peakGrowthMiBMax} MiB more meanwhile`,
      samples,
      ({ peakGrowthMiB = 1e9 }) => peakGrowthMiB < peakGrowthMiBMax,
    ),
    ...(name.startsWith('API')
      ? []
      : [
          goal(
            `${name}: at most ${queuedMax} changes wait in memory`,
            samples,
            ({ queuedCount = 1e9 }) => queuedCount <= queuedMax,
          ),
        ]),
  ];
}

async function floodBy(bench: Bench, size: Size, redis: OwnRedis | null): Promise<Series[]> {
  const { stack } = bench;
  const files = { engine: join(stack.dataDir, 'engine.json'), api: join(stack.dataDir, 'api.json') };
  const by: Record<string, string> = redis === null ? {} : { REDIS_URL: redis.url };
  // The longest deadline: a card that is declined because it came late would not be known.
  await bench.engineWith({ ...by, ...probeEnvironment(files.engine), DEADLINE_MS: '3000' });
  const sql = postgres(stack.databaseUrl, { max: 2, connect_timeout: 10, onnotice: () => undefined });
  const api = await stack.startApi({ ...by, ...probeEnvironment(files.api) });
  const [limitBefore, limit] = ['pubsub 33554432 8388608 60', `pubsub ${unreadBytesMax} ${unreadBytesMax} 0`];
  const limitTo = async (text: string) =>
    redis === null ? null : tell(redis, ['CONFIG', 'SET', 'client-output-buffer-limit', text]);
  try {
    await limitTo(limit);
    const [named] = await sql<{ id: string }[]>`select feed_id() as id`;
    const stage = new Stage({ stack, api, sql, redis, files, size, channel: packetChannel(named!.id) });
    try {
      bench.log('making the cards known to the engine');
      await askOnce(bench, { cardCount: size.cards });
      return await stage.run(bench.scale.roundCount, bench.log);
    } finally {
      stage.stop();
    }
  } finally {
    await limitTo(limitBefore);
    await api.stop();
    await sql.end({ timeout: 1 });
  }
}

interface StageOptions {
  readonly stack: Stack;
  readonly api: ApiServer;
  readonly sql: postgres.Sql;
  /** Null: hints travel by LISTEN/NOTIFY, and nothing is cut off, hangs or is repeated. */
  readonly redis: OwnRedis | null;
  readonly files: { readonly engine: string; readonly api: string };
  readonly size: Size;
  readonly channel: string;
}

class Stage {
  readonly #options: StageOptions;
  readonly #publisher: ChannelPublisher | null;
  readonly #packets: Buffer[] = [];
  #repeatedCount = 0;
  #isEngineStill = false;

  constructor(options: StageOptions) {
    this.#options = options;
    this.#publisher = options.redis === null ? null : new ChannelPublisher(options.redis.url, 'flood');
  }

  stop(): void {
    this.#publisher?.stop();
  }

  async run(floodCount: number, log: (line: string) => void): Promise<Series[]> {
    const { redis, size } = this.#options;
    const changeCount = size.cards * size.changes;
    if (redis !== null) await this.#record(redis);
    await this.#flood();
    const before = { engine: await this.#probe('engine'), api: await this.#probe('api') };
    const samples = { engine: [] as Sample[], api: [] as Sample[] };
    for (let turn = 1; turn <= floodCount; turn++) {
      log(`flood ${turn} of ${floodCount}: ${changeCount} changes`);
      const { engine, api, queuedMax: queuedCount, writtenS } = await this.#watched(() => this.#flood());
      const more = { queuedCount, changesPerSecond: changeCount / writtenS, repeatedCount: this.#repeatedCount };
      samples.engine.push(memorySample(before.engine, await this.#probe('engine'), engine, more));
      samples.api.push(memorySample(before.api, await this.#probe('api'), api, {}));
    }
    const by = redis === null ? 'by LISTEN/NOTIFY' : 'by Redis';
    return [
      { name: `engine, ${by}`, control: false, samples: samples.engine },
      { name: `API, ${by}`, control: false, samples: samples.api },
    ];
  }

  /** Packets as the relay sends them, to be repeated later. */
  async #record(redis: OwnRedis): Promise<void> {
    const { api, channel, size } = this.#options;
    let isListening = false;
    const listener = new RedisListener(redis.url, {
      name: 'flood',
      channel,
      connected: () => {
        isListening = true;
      },
      received: (bytes) => {
        if (this.#packets.length < packetsMax && (readPacket(bytes.subarray(sealBytes))?.entries.length ?? 0) > 0)
          this.#packets.push(bytes);
      },
    });
    const leads = async () => (await scrapeMetrics(api.metricsUrl)).values.get('feed_relay_leader') === 1;
    const isEnough = async () => {
      await this.#change(1, Math.min(size.cards, 500));
      return this.#packets.length >= packetsMax;
    };
    try {
      await until('packets arrive', () => isListening);
      await until('the relay leads', leads, healMs);
      await until('there are packets to repeat', isEnough, healMs);
    } finally {
      listener.stop();
    }
    await this.#inForce();
  }

  /** @returns seconds that writing the changes took */
  async #flood(): Promise<number> {
    const { redis, size, stack } = this.#options;
    this.#repeatedCount = 0;
    let writtenMs = 0;
    const writes = async (from: number, to: number) => {
      const beganMs = performance.now();
      for (let turn = from; turn < to; turn++) {
        for (let first = 1; first <= size.cards; first += chunk)
          await this.#change(first, Math.min(first + chunk - 1, size.cards));
      }
      writtenMs += performance.now() - beganMs;
    };
    const third = Math.floor(size.changes / 3);
    await writes(0, third);
    // Still: it reads nothing, and Redis cuts it off for that.
    this.#isEngineStill = true;
    stack.engine.pause();
    await Promise.all([writes(third, 2 * third), redis === null ? null : this.#cutOff(redis)]).finally(() =>
      stack.engine.resume(),
    );
    this.#isEngineStill = false;
    // Redis hangs, for both.
    redis?.pause();
    await writes(2 * third, size.changes).finally(() => redis?.resume());
    if (redis !== null) {
      await until('Redis answers', () => this.#repeat(1));
      await this.#repeat(repeats);
    }
    await this.#inForce();
    return writtenMs / 1000;
  }

  async #change(first: number, last: number): Promise<void> {
    const tokens = Array.from({ length: last - first + 1 }, (_, index) => cardToken(first + index));
    await this.#options.sql`update cards set version = version + 1 where token = any(${tokens})`;
  }

  /** @returns whether all of them were sent */
  async #repeat(times: number): Promise<boolean> {
    const { channel } = this.#options;
    let isSent = true;
    for (let time = 0; time < times; time++) {
      for (let start = 0; start < this.#packets.length; start += unansweredMax) {
        const packets = this.#packets.slice(start, start + unansweredMax);
        const sent = await Promise.all(packets.map((packet) => this.#publisher!.publish(channel, packet)));
        this.#repeatedCount += sent.filter((wasSent) => wasSent).length;
        isSent &&= sent.every((wasSent) => wasSent);
      }
    }
    return isSent;
  }

  /** Repeats packets until Redis has had enough of an engine that does not read them. */
  async #cutOff(redis: OwnRedis): Promise<void> {
    const isCutOff = async () => {
      await this.#repeat(5);
      return !String(await tell(redis, ['CLIENT', 'LIST'])).includes(' name=engine-feed ');
    };
    await until('the engine is cut off', isCutOff, healMs, 0);
  }

  /** Waits until the engine has everything that was written. */
  async #inForce(): Promise<void> {
    await untilInForce(this.#options.stack, await newestChange(this.#options.sql));
  }

  #probe(of: 'engine' | 'api'): Promise<ProbedMemory> {
    const { stack, api, files } = this.#options;
    return probeMemory(of === 'engine' ? stack.engine.pid : api.pid, files[of]);
  }

  /** Most that was resident, and most changes that the engine had in memory and not yet in force, while `work` ran. */
  async #watched(
    work: () => Promise<number>,
  ): Promise<{ engine: number; api: number; queuedMax: number; writtenS: number }> {
    const { stack, api } = this.#options;
    const most = { engine: 0, api: 0, queuedMax: 0 };
    const sampling = setInterval(() => {
      most.engine = Math.max(most.engine, readResidentBytes(stack.engine.pid) ?? 0);
      most.api = Math.max(most.api, readResidentBytes(api.pid) ?? 0);
    }, sampleMs);
    let isOver = false;
    const watching = (async () => {
      while (!isOver) {
        if (!this.#isEngineStill) {
          const metrics = await scrapeMetrics(stack.engine.metricsUrl).catch(() => null);
          most.queuedMax = Math.max(most.queuedMax, metrics?.values.get('feed_queued') ?? 0);
        }
        await delay(queueSampleMs);
      }
    })();
    try {
      const writtenS = await work();
      return { writtenS, ...most };
    } finally {
      isOver = true;
      clearInterval(sampling);
      await watching;
    }
  }
}

function memorySample(before: ProbedMemory, after: ProbedMemory, peakBytes: number, more: Sample['figures']): Sample {
  const mib = (bytes: number) => bytes / 2 ** 20;
  return sampleFrom({
    ...more,
    heapMiB: mib(after.heapBytes),
    heapGrowthMiB: mib(after.heapBytes - before.heapBytes),
    buffersMiB: mib(after.externalBytes),
    buffersGrowthMiB: mib(after.externalBytes - before.externalBytes),
    residentMiB: mib(after.residentBytes),
    peakMiB: mib(peakBytes),
    peakGrowthMiB: mib(peakBytes - before.residentBytes),
  });
}
