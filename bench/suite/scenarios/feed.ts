/**
 * How fast a change is in force, and what changes cost the authorizations beside them. Cards are frozen and unfrozen on
 * a schedule, as the account API does it: one statement, then the API's own feed confirms it. Some are also asked
 * about, over and over, until a decision obeys: what a cardholder would see. Then the engine stands still while many
 * changes are made, and is timed until it has all of them. FEED_CHANGES and FEED_AUTHORIZATIONS say how many a second.
 */
import postgres from 'postgres';
import { OutboxChangeFeed } from '../../../api/feed/change-feed.js';
import { answerOf, basic, Client } from '../../../engine/testing/client.js';
import { until } from '../../../engine/testing/engine-process.js';
import { Seals } from '../../../platform/redis/seal.js';
import { ensureAccounts } from '../../accounts.js';
import { Latency } from '../../load/latency.js';
import { newIdPrefix } from '../../load/load.js';
import { sizeFromEnvironment } from '../../run.js';
import { benchFeedKey } from '../../stack.js';
import {
  alternate,
  askOnce,
  type Bench,
  balanceMinor,
  cardToken,
  measure,
  rate,
  realTraffic,
  type Scenario,
  warmUp,
} from '../bench.js';
import type { Sample, Series } from '../figures.js';
import { sampleFrom, sampleOf, withFigures } from '../sample.js';
import { newestChange, untilInForce } from '../settled.js';

const fewPerSecond = 200;
/** As many as the API's pool has. */
const writersMax = 20;
/** Every so many freezes one is asked about: askers are a load of their own. */
const askedEvery = 25;
/** The API waits so long, and then answers that it does not know. */
const knownMs = 1000;
/** Longer than the API waits: here late is slow. */
const confirmMsMax = 5000;

/** Rates a second; `cards`: those that are changed, behind those of the load. */
interface Size {
  readonly authorizations: number;
  readonly changes: number;
  readonly cards: number;
  readonly missed: number;
}

export const feed: Scenario = {
  name: 'feed',
  title: 'How fast a freeze is in force, and what changes cost the authorizations beside them',
  seconds: 110,
  engine: 'any',
  async run(bench) {
    const authorizations = sizeFromEnvironment('FEED_AUTHORIZATIONS', 5000);
    const size =
      bench.scale.name === 'smoke'
        ? { authorizations, changes: 100, cards: 50, missed: 500 }
        : { authorizations, changes: sizeFromEnvironment('FEED_CHANGES', 1000), cards: 2000, missed: 100_000 };
    const count = bench.scale.accountCount + size.cards;
    await ensureAccounts({ databaseUrl: bench.stack.databaseUrl, count, balanceMinor });
    const redis = await bench.redis();
    const series: Series[] = [];
    if (redis !== null) {
      await bench.engineWith({ REDIS_URL: redis.url });
      series.push(...(await byTransport(bench, size, redis.url, [size.changes])));
    }
    await bench.engineWith();
    series.push(...(await byTransport(bench, size, '', [0, fewPerSecond, size.changes])));
    return {
      settings: { 'authorizations per second': authorizations, connections: 256, arrivals: 'Poisson' },
      series,
      goals: [],
      notes: [
        'A write counts from the instant at which it was due; everything else from the answer of the write.',
        ...(redis === null ? ['There is no redis-server here: Redis was not measured.'] : []),
      ],
    };
  },
};

/** @param redisUrl '': LISTEN/NOTIFY */
async function byTransport(bench: Bench, size: Size, redisUrl: string, rates: readonly number[]): Promise<Series[]> {
  const { stack, scale } = bench;
  const changes = new Changes(bench, size.cards, redisUrl);
  const by = redisUrl === '' ? 'by LISTEN/NOTIFY' : 'by Redis';
  try {
    await changes.start();
    if (scale.name === 'full') await warmUp(bench);
    await askOnce(bench, { cardFirst: scale.accountCount + 1, cardCount: size.cards });
    const contenders = rates.map((perSecond) => ({
      name: perSecond === 0 ? 'nothing changes' : `${perSecond} changes/s ${by}`,
      control: false,
      needsEngine: true,
      run: () => changes.beside(perSecond, () => authorize(bench, size.authorizations)),
    }));
    const series = await alternate(bench, contenders);
    bench.log(`${size.missed} changes while the engine stands still`);
    stack.engine.pause();
    const newest = await changes.make(size.missed).finally(() => stack.engine.resume());
    const beganMs = performance.now();
    await untilInForce(stack, newest);
    const repairSeconds = (performance.now() - beganMs) / 1000;
    const repair = sampleFrom({ repairSeconds, perSecond: size.missed / repairSeconds });
    return [...series, { name: `${size.missed} missed changes ${by}`, control: false, samples: [repair] }];
  } finally {
    await changes.stop();
  }
}

async function authorize(bench: Bench, perSecond: number): Promise<Sample> {
  const measurement = await measure(bench, bench.stack.engine, {
    pace: rate(bench, perSecond),
    connectionCount: 256,
    traffic: realTraffic(bench, 'authorizations'),
    ...(bench.scale.name === 'full' ? { durationMs: 5000 } : {}),
  });
  return sampleOf(measurement);
}

class Counts {
  readonly wrote = new Latency();
  readonly effective = new Latency();
  readonly obeyed = new Latency();
  /** Of `effective`: until the change has its number, and from then on. */
  readonly numbered = new Latency();
  readonly in_force = new Latency();
  readonly failures = new Set<string>();
  freezes = 0;
  unknown = 0;

  figures(seconds: number): Sample['figures'] {
    const [wrote, effective, obeyed] = [this.wrote.summary(), this.effective.summary(), this.obeyed.summary()];
    const [numbered, inForce] = [this.numbered.summary(), this.in_force.summary()];
    return {
      changesPerSecond: effective.count / seconds,
      unknownCount: this.unknown,
      writeP50Ms: wrote.p50Ms,
      writeP99Ms: wrote.p99Ms,
      changeP50Ms: effective.p50Ms,
      changeP99Ms: effective.p99Ms,
      changeMaxMs: effective.maxMs,
      numberedP50Ms: numbered.p50Ms,
      numberedP99Ms: numbered.p99Ms,
      inForceP50Ms: inForce.p50Ms,
      inForceP99Ms: inForce.p99Ms,
      obeyedP50Ms: obeyed.p50Ms,
      obeyedP99Ms: obeyed.p99Ms,
      obeyedMaxMs: obeyed.maxMs,
    };
  }
}

/** Freezes and unfreezes cards. */
class Changes {
  readonly #bench: Bench;
  readonly #cards: number;
  readonly #sql: postgres.Sql;
  readonly #feed: OutboxChangeFeed;
  readonly #asker: Client;
  readonly #idPrefix = newIdPrefix('feed');
  readonly #isFrozen: Uint8Array;
  readonly #isBusy: Uint8Array;
  #counts = new Counts();
  #turn = 0;
  #asked = 0;

  constructor(bench: Bench, cards: number, redisUrl: string) {
    const { databaseUrl, engine } = bench.stack;
    this.#bench = bench;
    this.#cards = cards;
    this.#isFrozen = new Uint8Array(cards);
    this.#isBusy = new Uint8Array(cards);
    this.#sql = postgres(databaseUrl, { max: writersMax, connect_timeout: 10, onnotice: () => undefined });
    this.#asker = new Client(engine.port);
    this.#feed = new OutboxChangeFeed({
      databaseUrl,
      redisUrl,
      seals: new Seals([benchFeedKey]),
      log: { info: () => undefined, warn: () => undefined },
      observe: (hop, ms) => this.#counts[hop].record(ms * 1000),
    });
  }

  async start(): Promise<void> {
    await this.#feed.start();
    await until('the feed leads', () => this.#feed.health().isLeader, 60_000);
  }

  async stop(): Promise<void> {
    this.#asker.close();
    // Other scenarios use these cards.
    await this.#sql`update cards set status = 'active', version = version + 1 where status = 'frozen'`;
    await this.#feed.stop();
    await this.#sql.end({ timeout: 10 });
  }

  /** Makes so many changes at once. @returns the number of the newest */
  async make(count: number): Promise<number> {
    for (let made = 0; made < count; made += this.#cards) {
      const tokens = Array.from({ length: Math.min(this.#cards, count - made) }, (_, index) => this.#token(index));
      await this.#sql`update cards set version = version + 1 where token = any(${tokens})`;
    }
    return newestChange(this.#sql);
  }

  /** Changes cards at this rate while `work` runs. */
  async beside(perSecond: number, work: () => Promise<Sample>): Promise<Sample> {
    if (perSecond === 0) return work();
    const counts = new Counts();
    this.#counts = counts;
    const gapMs = 1000 / perSecond;
    const zeroMs = performance.now();
    const open = new Set<Promise<void>>();
    let dueCount = 0;
    const timer = setInterval(() => {
      // By the clock and not by the timer's turns, which come late and would make fewer changes the busier the machine
      // is.
      for (const nowMs = performance.now(); zeroMs + dueCount * gapMs <= nowMs; dueCount++) {
        const index = this.#turn++ % this.#cards;
        // Its last change is not in force yet.
        if (this.#isBusy[index] === 1) continue;
        const one = this.#change(index, zeroMs + dueCount * gapMs)
          .catch((error: unknown) => void counts.failures.add(String(error)))
          .finally(() => open.delete(one));
        open.add(one);
      }
    }, gapMs);
    try {
      const sample = await work();
      clearInterval(timer);
      await Promise.all(open);
      const seconds = (performance.now() - zeroMs) / 1000;
      return withFigures({ ...sample, faults: [...sample.faults, ...counts.failures] }, counts.figures(seconds));
    } finally {
      clearInterval(timer);
    }
  }

  async #change(index: number, dueMs: number): Promise<void> {
    const counts = this.#counts;
    this.#isBusy[index] = 1;
    const isFreeze = this.#isFrozen[index] === 0;
    const [row] = await this.#sql<{ key: string; version: number }[]>`
      update cards set status = ${isFreeze ? 'frozen' : 'active'}, version = version + 1
      where token = ${this.#token(index)} returning id::text as key, version::float8 as version`;
    const wroteMs = performance.now();
    counts.wrote.record((wroteMs - dueMs) * 1000);
    this.#isFrozen[index] = isFreeze ? 1 : 0;
    const isAsked = isFreeze && counts.freezes++ % askedEvery === 0;
    const obeyed = isAsked ? this.#untilObeyed(index, wroteMs) : null;
    const isEffective = await this.#feed.effective({ topic: 'card', ...row! }, confirmMsMax);
    const tookMs = performance.now() - wroteMs;
    if (isEffective) counts.effective.record(tookMs * 1000);
    else counts.failures.add(`a change was not in force after ${confirmMsMax} ms`);
    if (tookMs > knownMs) counts.unknown++;
    await obeyed;
    this.#isBusy[index] = 0;
  }

  /** Asks until the card is declined for being frozen. */
  async #untilObeyed(index: number, sinceMs: number): Promise<void> {
    const { user, password } = this.#bench.stack.credentials;
    const headers = { authorization: basic(user, password) };
    const counts = this.#counts;
    while (performance.now() - sinceMs < confirmMsMax) {
      const id = `${this.#idPrefix}-${++this.#asked}`;
      const message = { id, type: 'authorization', card: this.#token(index), amount: 1, currency: 'USD' };
      const reply = await this.#asker.ask({ headers, body: JSON.stringify(message) });
      if (answerOf(reply).reason === 'card_inactive') {
        counts.obeyed.record((performance.now() - sinceMs) * 1000);
        return;
      }
    }
    counts.failures.add(`a freeze was not obeyed after ${confirmMsMax} ms`);
  }

  #token(index: number): string {
    return cardToken(this.#bench.scale.accountCount + 1 + index);
  }
}
