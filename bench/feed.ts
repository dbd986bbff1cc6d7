/**
 * How fast a change is in force: cards are frozen and unfrozen on a schedule (1,000 changes a second) beside a load of
 * authorizations (5,000 a second), and each is timed from the answer of the write to `effective`, which is what the API
 * waits for. Some are also asked about, over and over, until a decision obeys: what a cardholder would see. Then the
 * engine stands still while 100,000 changes are made, and is timed until it has all of them.
 *
 * `make bench-feed CHANGES=1000 AUTHORIZATIONS=5000` (each a second): by Redis and by LISTEN/NOTIFY, in two minutes.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { OutboxChangeFeed } from '../api/feed/change-feed.js';
import { OwnRedis } from '../deploy/testing/test-redis.js';
import { answerOf, basic, Client } from '../engine/testing/client.js';
import { Seals } from '../platform/redis/seal.js';
import { Latency, type LatencySummary } from './load/latency.js';
import { load, newIdPrefix } from './load/load.js';
import { uniformTraffic } from './load/uniform.js';
import { describeMachine } from './machine.js';
import { scrapeMetrics } from './metrics.js';
import { isMain, resultFolder, runUntilSignal, sizeFromEnvironment } from './run.js';
import { benchFeedKey, loopback, type Stack, startStack } from './stack.js';

export interface FeedBenchOptions {
  readonly changesPerSecond: number;
  readonly authorizationsPerSecond: number;
  readonly seconds: number;
  /** Before them, and not counted: connections are opened, plans made, code compiled. */
  readonly warmUpSeconds: number;
  readonly missedCount: number;
  /** '': LISTEN/NOTIFY. */
  readonly redisUrl: string;
  /** A migrated database, for runs that only prove that they can run. */
  readonly databaseUrl?: string;
}

export interface FeedBenchResult {
  readonly transport: 'redis' | 'postgres';
  readonly changes: number;
  /** Not known to be in force within a second. */
  readonly unknown: number;
  readonly wroteMs: LatencySummary;
  readonly effectiveMs: LatencySummary;
  /** From the answer of the write to the first answer of an authorization that obeyed. */
  readonly obeyedMs: LatencySummary;
  /** Of `effective`, the warm-up included: until the change's number is known, and from then on. */
  readonly numberedMs: LatencySummary;
  readonly inForceMs: LatencySummary;
  readonly authorizationsPerSecond: number;
  readonly authorizationP99Ms: number;
  readonly repairedPerSecond: number;
  readonly repairSeconds: number;
}

/** Cards that are changed stand behind those of the load. */
const loadCards = 5000;
const changedCards = 2000;
const connectionCount = 64;
/** As many as the API's pool has. */
const writersMax = 20;
/** Every so many changes one is asked about: askers are a load of their own. */
const askedEvery = 50;
const obeyedMsMax = 2000;

const quiet = { info: () => undefined, warn: () => undefined };
const cardOf = (index: number) => `card_${String(loadCards + 1 + index).padStart(6, '0')}_1`;

export async function measureFeed(options: FeedBenchOptions, log: (line: string) => void): Promise<FeedBenchResult> {
  const { redisUrl, databaseUrl } = options;
  const stack = await startStack({
    accountCount: loadCards + changedCards,
    balanceMinor: 1_000_000_000,
    engineEnv: { REDIS_URL: redisUrl },
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    log,
  });
  const sql = postgres(stack.databaseUrl, { max: writersMax, onnotice: () => undefined });
  const hops = { numbered: new Latency(), in_force: new Latency() };
  const feed = new OutboxChangeFeed({
    databaseUrl: stack.databaseUrl,
    redisUrl,
    seals: new Seals([benchFeedKey]),
    log: quiet,
    observe: (hop, ms) => hops[hop].record(ms * 1000),
  });
  try {
    await feed.start();
    log('making the cards known to the engine');
    await authorize(stack, { cardCount: loadCards + changedCards, requestCountMax: loadCards + changedCards });
    while (!feed.health().isLeader) await delay(10);
    const propagation = await propagate(options, stack, sql, feed, log);
    const repair = await repairMissed(options.missedCount, stack, sql, log);
    return {
      transport: feed.health().transport,
      ...propagation,
      numberedMs: hops.numbered.summary(),
      inForceMs: hops.in_force.summary(),
      ...repair,
    };
  } finally {
    await feed.stop();
    await sql.end({ timeout: 1 });
    await stack.stop();
  }
}

class Counts {
  readonly wrote = new Latency();
  readonly effective = new Latency();
  readonly obeyed = new Latency();
  changes = 0;
  unknown = 0;
}

async function propagate(
  { changesPerSecond, authorizationsPerSecond, seconds, warmUpSeconds }: FeedBenchOptions,
  stack: Stack,
  sql: postgres.Sql,
  feed: OutboxChangeFeed,
  log: (line: string) => void,
) {
  const counted = new Counts();
  const warmUp = new Counts();
  const isFrozen = new Uint8Array(changedCards);
  const isBusy = new Uint8Array(changedCards);
  const open = new Set<Promise<void>>();
  const asker = new Client(stack.engine.port);
  const startMs = performance.now();
  const countedFromMs = startMs + warmUpSeconds * 1000;

  const change = async (index: number, turn: number): Promise<void> => {
    isBusy[index] = 1;
    const status = isFrozen[index] === 1 ? 'active' : 'frozen';
    const beganMs = performance.now();
    const counts = beganMs < countedFromMs ? warmUp : counted;
    const [row] = await sql<{ key: string; version: number }[]>`
      update cards set status = ${status}, version = version + 1 where token = ${cardOf(index)}
      returning id::text as key, version`;
    const wroteMs = performance.now();
    counts.wrote.record((wroteMs - beganMs) * 1000);
    isFrozen[index] = 1 - isFrozen[index]!;
    counts.changes++;
    const asked =
      status === 'frozen' && turn % askedEvery < 2 ? untilObeyed(asker, stack, index, wroteMs, counts.obeyed) : null;
    if (await feed.effective({ topic: 'card', key: row!.key, version: row!.version })) {
      counts.effective.record((performance.now() - wroteMs) * 1000);
    } else counts.unknown++;
    await asked;
    isBusy[index] = 0;
  };

  log(`${changesPerSecond} changes/s beside ${authorizationsPerSecond} authorizations/s for ${seconds} s`);
  const loading = authorize(stack, { cardCount: loadCards, rate: authorizationsPerSecond, seconds, warmUpSeconds });
  const turns = changesPerSecond * (warmUpSeconds + seconds);
  for (let turn = 0; turn < turns; ) {
    const dueCount = Math.min(Math.floor(((performance.now() - startMs) / 1000) * changesPerSecond), turns);
    for (; turn < dueCount; turn++) {
      const index = turn % changedCards;
      if (isBusy[index] === 1) continue;
      const changing: Promise<void> = change(index, turn).finally(() => open.delete(changing));
      open.add(changing);
    }
    await delay(1);
  }
  await Promise.all(open);
  asker.close();
  const loaded = await loading;
  return {
    changes: counted.changes,
    unknown: counted.unknown,
    wroteMs: counted.wrote.summary(),
    effectiveMs: counted.effective.summary(),
    obeyedMs: counted.obeyed.summary(),
    authorizationsPerSecond: Math.round(loaded.answersPerSecond),
    authorizationP99Ms: loaded.latency.p99Ms,
  };
}

let questions = 0;

/** Asks until the card is declined for being frozen. */
async function untilObeyed(
  asker: Client,
  { credentials }: Stack,
  index: number,
  sinceMs: number,
  obeyed: Latency,
): Promise<void> {
  const authorization = basic(credentials.user, credentials.password);
  while (performance.now() - sinceMs < obeyedMsMax) {
    const id = `feed-bench-${process.pid}-${++questions}`;
    const message = { id, type: 'authorization', card: cardOf(index), amount: 1, currency: 'USD' };
    const reply = await asker.ask({ headers: { authorization }, body: JSON.stringify(message) });
    if (answerOf(reply).reason === 'card_inactive') break;
  }
  obeyed.record((performance.now() - sinceMs) * 1000);
}

async function authorize(
  stack: Stack,
  {
    cardCount,
    rate,
    seconds = 60,
    warmUpSeconds = 0,
    requestCountMax = null,
  }: {
    cardCount: number;
    rate?: number;
    seconds?: number;
    warmUpSeconds?: number;
    requestCountMax?: number | null;
  },
) {
  return load({
    host: loopback,
    port: stack.engine.port,
    traffic: uniformTraffic({
      path: '/v1/authorizations',
      credentials: stack.credentials,
      kind: 'authorization',
      idPrefix: newIdPrefix('feed'),
      cardFirst: 1,
      cardCount,
      cardsPerAccount: 1,
      cardOrder: 'sequence',
      amountMinorMin: 1,
      amountMinorMax: 1,
      answers: 'decision',
    }),
    pace: rate === undefined ? { kind: 'closed' } : { kind: 'open', ratePerSecond: rate, arrivals: 'poisson' },
    connectionCount,
    threadCount: 1,
    warmUpMs: warmUpSeconds * 1000,
    durationMs: seconds * 1000,
    requestCountMax,
    timeoutMs: 5000,
    seed: 1,
  });
}

async function repairMissed(count: number, stack: Stack, sql: postgres.Sql, log: (line: string) => void) {
  log(`${count} changes while the engine stands still`);
  stack.engine.pause();
  for (let made = 0; made < count; made += changedCards) {
    await sql`
      update cards set version = version + 1
      where token = any(${Array.from({ length: Math.min(changedCards, count - made) }, (_, index) => cardOf(index))})`;
  }
  let newest = 0;
  for (let more = true; more; ) {
    const [row] = await sql<
      { newest: number; more: boolean }[]
    >`select newest::float8 as newest, more from feed_number()`;
    newest = row!.newest;
    more = row!.more;
  }
  stack.engine.resume();
  const beganMs = performance.now();
  for (;;) {
    const { values } = await scrapeMetrics(stack.engine.metricsUrl);
    if ((values.get('feed_sequence') ?? 0) >= newest) break;
    await delay(10);
  }
  const repairSeconds = (performance.now() - beganMs) / 1000;
  return { repairSeconds, repairedPerSecond: Math.round(count / repairSeconds) };
}

export function formatFeed(results: readonly FeedBenchResult[], missedCount: number): string {
  const lines = [
    '| by | changes | not known in 1 s | write p50 ms | effective p50 ms | p99 ms | max ms | of it numbered p50 ms | ' +
      'p99 ms | in force p50 ms | p99 ms | obeyed p50 ms | p99 ms | max ms | authorizations/s | p99 ms | repair s |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: ' +
      '| ---: |',
  ];
  const ms = (value: number) => value.toFixed(2);
  for (const { transport, effectiveMs, numberedMs, inForceMs, obeyedMs, ...rest } of results) {
    const cells = [
      transport,
      rest.changes,
      rest.unknown,
      ms(rest.wroteMs.p50Ms),
      ...[effectiveMs.p50Ms, effectiveMs.p99Ms, effectiveMs.maxMs].map(ms),
      ...[numberedMs.p50Ms, numberedMs.p99Ms, inForceMs.p50Ms, inForceMs.p99Ms].map(ms),
      ...[obeyedMs.p50Ms, obeyedMs.p99Ms, obeyedMs.maxMs].map(ms),
      rest.authorizationsPerSecond,
      ms(rest.authorizationP99Ms),
      `${rest.repairSeconds.toFixed(2)} (${missedCount})`,
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return lines.join('\n');
}

const missedCountDefault = 100_000;

async function main(): Promise<number> {
  const log = (line: string) => console.error(line);
  const common = {
    changesPerSecond: sizeFromEnvironment('CHANGES', 1000),
    authorizationsPerSecond: sizeFromEnvironment('AUTHORIZATIONS', 5000),
    seconds: 15,
    warmUpSeconds: 3,
    missedCount: missedCountDefault,
  };
  const redis = await OwnRedis.start();
  const results: FeedBenchResult[] = [];
  try {
    for (const redisUrl of [redis.url, '']) results.push(await measureFeed({ ...common, redisUrl }, log));
  } finally {
    await redis.stop();
  }
  const machine = await describeMachine();
  const table = formatFeed(results, missedCountDefault);
  console.log(`${table}\n`);
  const folder = resultFolder(machine);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'feed.json'), JSON.stringify({ machine, results }, null, 2));
  return 0;
}

if (isMain(import.meta.url)) await runUntilSignal(main);
