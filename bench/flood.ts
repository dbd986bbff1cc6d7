/**
 * Memory under a flood: 20,000 cards are changed four times each, as fast as Postgres takes it, while the engine stands
 * still and is cut off by Redis for not reading, Redis itself hangs, and packets of the feed are repeated. Three times
 * the same: what engine and API keep after each, garbage collected, and what they took meanwhile.
 *
 * `make bench-flood CARDS=20000 CHANGES=4` (of each): by Redis and by LISTEN/NOTIFY, in three minutes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { ApiProcess } from '../api/testing/api-process.js';
import { findFreePort } from '../deploy/free-port.js';
import { seedAccounts } from '../deploy/seed-accounts.js';
import { tell } from '../deploy/testing/redis-admin.js';
import { createTestDatabase } from '../deploy/testing/test-database.js';
import { OwnRedis } from '../deploy/testing/test-redis.js';
import { packetChannel, readPacket } from '../engine/feed/feed-packet.js';
import { answerOf, Client } from '../engine/testing/client.js';
import {
  type EngineProcess,
  enginePlace,
  metric,
  startEngineProcess,
  until,
} from '../engine/testing/engine-process.js';
import { type ProbedMemory, probeEnvironment, probeMemory } from '../engine/testing/probed-memory.js';
import { ChannelPublisher, RedisListener } from '../platform/redis/channel.js';
import { sealBytes } from '../platform/redis/seal.js';
import { readResidentBytes } from './process-stats.js';
import { isMain, runUntilSignal, sizeFromEnvironment } from './run.js';

export interface FloodOptions {
  readonly cards: number;
  /** Changes of each card in one flood, three at least. */
  readonly changesOfEach: number;
  /** After a first one, before which memory is not looked at: by then everything has happened once. */
  readonly floods: number;
  /** False: hints travel by LISTEN/NOTIFY, and nothing is cut off, hangs or is repeated. */
  readonly withRedis: boolean;
}

export interface FloodMemory {
  /** After the first flood, and after each further one, when everything is in force. */
  readonly kept: readonly ProbedMemory[];
  /** Most that was resident during each flood. */
  readonly peakBytes: readonly number[];
}

export interface FloodResult {
  readonly changes: number;
  readonly changesPerSecond: number;
  /** Times that Redis cut the engine off for not reading. */
  readonly cuts: number;
  readonly packetsRepeated: number;
  /** Most changes that the engine had in memory and not yet in force, as seen ten times a second. */
  readonly queuedMax: number;
  readonly engine: FloodMemory;
  readonly api: FloodMemory;
}

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
/** A repair of everything, on a busy machine. */
const healMs = 120_000;

export async function measureFlood(options: FloodOptions, log: (line: string) => void): Promise<FloodResult> {
  const database = await createTestDatabase();
  const folder = mkdtempSync(join(tmpdir(), 'flood-'));
  const limit = ['--client-output-buffer-limit', `pubsub ${unreadBytesMax} ${unreadBytesMax} 0`];
  const redis = options.withRedis ? await OwnRedis.start(limit) : null;
  const sql = postgres(database.url, { max: 2, onnotice: () => undefined });
  let stage: Stage | null = null;
  try {
    await seedAccounts(sql, { accounts: options.cards, cardsPerAccount: 1, balanceMinor: 1_000_000 });
    stage = await Stage.start(database.url, folder, redis, sql);
    return await stage.run(options, log);
  } finally {
    await stage?.stop();
    await redis?.stop();
    await sql.end({ timeout: 1 });
    await database.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

class Stage {
  readonly #sql: postgres.Sql;
  readonly #redis: OwnRedis | null;
  readonly #engine: EngineProcess;
  readonly #api: ApiProcess;
  readonly #files: { readonly engine: string; readonly api: string };
  readonly #publisher: ChannelPublisher | null;
  readonly #channel: string;
  readonly #packets: Buffer[] = [];
  #packetsRepeated = 0;
  #cuts = 0;
  #queuedMax = 0;
  #isEngineStill = false;

  private constructor(
    sql: postgres.Sql,
    redis: OwnRedis | null,
    engine: EngineProcess,
    api: ApiProcess,
    files: { readonly engine: string; readonly api: string },
    channel: string,
  ) {
    this.#sql = sql;
    this.#redis = redis;
    this.#engine = engine;
    this.#api = api;
    this.#files = files;
    this.#channel = channel;
    this.#publisher = redis === null ? null : new ChannelPublisher(redis.url, 'flood');
  }

  static async start(databaseUrl: string, folder: string, redis: OwnRedis | null, sql: postgres.Sql): Promise<Stage> {
    const files = { engine: join(folder, 'engine.json'), api: join(folder, 'api.json') };
    const place = await enginePlace(databaseUrl, folder);
    const common = { LOG_LEVEL: 'error', ...(redis === null ? {} : { REDIS_URL: redis.url }) };
    const engine = await startEngineProcess(place, {
      ...common,
      ...probeEnvironment(files.engine),
      CARDS_MAX: '1048576',
      ACCOUNTS_MAX: '1048576',
    });
    const api = new ApiProcess(await findFreePort(), {
      API_OPS_PORT: String(await findFreePort()),
      ...common,
      ...probeEnvironment(files.api),
      DATABASE_URL: databaseUrl,
      ENGINE_URL: `http://127.0.0.1:${place.opsPort}`,
    });
    await api.ready();
    const [named] = await sql<{ id: string }[]>`select feed_id() as id`;
    return new Stage(sql, redis, engine, api, files, packetChannel(named!.id));
  }

  async run({ cards, changesOfEach, floods }: FloodOptions, log: (line: string) => void): Promise<FloodResult> {
    log('making the cards known to the engine');
    await this.#know(cards);
    if (this.#redis !== null) await this.#record(this.#redis, cards);
    let seconds = await this.#flood(cards, changesOfEach);
    const kept = { engine: [await this.#probe('engine')], api: [await this.#probe('api')] };
    const peaks = { engine: [] as number[], api: [] as number[] };
    for (let turn = 1; turn <= floods; turn++) {
      log(`flood ${turn} of ${floods}: ${cards * changesOfEach} changes`);
      const { engine, api, writtenS } = await this.#peaksOf(() => this.#flood(cards, changesOfEach));
      seconds += writtenS;
      peaks.engine.push(engine);
      peaks.api.push(api);
      kept.engine.push(await this.#probe('engine'));
      kept.api.push(await this.#probe('api'));
    }
    const changes = cards * changesOfEach * (floods + 1);
    return {
      changes,
      changesPerSecond: Math.round(changes / seconds),
      cuts: this.#cuts,
      packetsRepeated: this.#packetsRepeated,
      queuedMax: this.#queuedMax,
      engine: { kept: kept.engine, peakBytes: peaks.engine },
      api: { kept: kept.api, peakBytes: peaks.api },
    };
  }

  async stop(): Promise<void> {
    this.#publisher?.stop();
    await this.#api.stop();
    await this.#engine.kill('SIGKILL');
  }

  /** A question about each card: from then on a change of it is a change of what is in memory. */
  async #know(cards: number): Promise<void> {
    const client = new Client(this.#engine.place.authPort);
    let next = 1;
    const ask = async () => {
      while (next <= cards) {
        const card = cardOf(next++);
        const { reason } = answerOf(await client.native({ id: `know-${card}`, type: 'balance_inquiry', card }));
        if (reason !== 'approved') throw new Error(`${card}: ${reason}`);
      }
    };
    await Promise.all(Array.from({ length: 64 }, ask));
    client.close();
  }

  /** Packets as the relay sends them, to be repeated later. */
  async #record(redis: OwnRedis, cards: number): Promise<void> {
    let isListening = false;
    const listener = new RedisListener(redis.url, {
      name: 'flood',
      channel: this.#channel,
      connected: () => {
        isListening = true;
      },
      received: (bytes) => {
        if (this.#packets.length < packetsMax && (readPacket(bytes.subarray(sealBytes))?.entries.length ?? 0) > 0)
          this.#packets.push(bytes);
      },
    });
    await until('packets arrive', () => isListening);
    await until('the relay leads', async () =>
      (await (await fetch(`${this.#api.opsUrl}/metrics`)).text()).includes('feed_relay_leader 1'),
    );
    await until(
      'there are packets to repeat',
      async () => {
        await this.#change(1, Math.min(cards, 500));
        return this.#packets.length >= packetsMax;
      },
      healMs,
    );
    listener.stop();
    await this.#inForce();
  }

  /** @returns seconds that writing the changes took */
  async #flood(cards: number, changesOfEach: number): Promise<number> {
    let writtenMs = 0;
    const writes = async (from: number, to: number) => {
      const beganMs = performance.now();
      for (let turn = from; turn < to; turn++) {
        for (let first = 1; first <= cards; first += chunk)
          await this.#change(first, Math.min(first + chunk - 1, cards));
      }
      writtenMs += performance.now() - beganMs;
    };
    const third = Math.floor(changesOfEach / 3);
    await writes(0, third);
    // Still: it reads nothing, and Redis cuts it off for that.
    this.#isEngineStill = true;
    this.#engine.child.kill('SIGSTOP');
    await Promise.all([writes(third, 2 * third), this.#redis === null ? null : this.#cutOff(this.#redis)]);
    this.#engine.child.kill('SIGCONT');
    this.#isEngineStill = false;
    // Redis hangs, for both.
    this.#redis?.pause();
    await writes(2 * third, changesOfEach);
    this.#redis?.resume();
    if (this.#redis !== null) {
      await until('Redis answers', () => this.#repeat(1));
      await this.#repeat(repeats);
    }
    await this.#inForce();
    return writtenMs / 1000;
  }

  async #change(first: number, last: number): Promise<void> {
    const tokens = Array.from({ length: last - first + 1 }, (_, index) => cardOf(first + index));
    await this.#sql`update cards set version = version + 1 where token = any(${tokens})`;
  }

  /** @returns whether all of them were sent */
  async #repeat(times: number): Promise<boolean> {
    let isSent = true;
    for (let time = 0; time < times; time++) {
      for (let start = 0; start < this.#packets.length; start += unansweredMax) {
        const packets = this.#packets.slice(start, start + unansweredMax);
        const sent = await Promise.all(packets.map((packet) => this.#publisher!.publish(this.#channel, packet)));
        this.#packetsRepeated += sent.filter((wasSent) => wasSent).length;
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
    this.#cuts++;
  }

  /** Waits until the engine has everything that was written. */
  async #inForce(): Promise<void> {
    let newest = 0;
    for (let more = true; more; ) {
      const [row] = await this.#sql<{ newest: number; more: boolean }[]>`
        select newest::float8 as newest, more from feed_number()`;
      newest = row!.newest;
      more = row!.more;
    }
    const hasAll = async () => (await metric(this.#engine.place, 'feed_sequence')) >= newest;
    await until('everything is in force', hasAll, healMs);
  }

  #probe(of: 'engine' | 'api'): Promise<ProbedMemory> {
    return probeMemory(of === 'engine' ? this.#engine.child.pid! : this.#api.pid, this.#files[of]);
  }

  /** Most that was resident while `work` ran. */
  async #peaksOf(work: () => Promise<number>): Promise<{ engine: number; api: number; writtenS: number }> {
    const peaks = { engine: 0, api: 0 };
    const sampling = setInterval(() => {
      peaks.engine = Math.max(peaks.engine, readResidentBytes(this.#engine.child.pid!) ?? 0);
      peaks.api = Math.max(peaks.api, readResidentBytes(this.#api.pid) ?? 0);
    }, sampleMs);
    let isOver = false;
    const watching = (async () => {
      while (!isOver) {
        if (!this.#isEngineStill) {
          const queued = await metric(this.#engine.place, 'feed_queued').catch(() => 0);
          this.#queuedMax = Math.max(this.#queuedMax, queued);
        }
        await delay(queueSampleMs);
      }
    })();
    try {
      return { writtenS: await work(), ...peaks };
    } finally {
      isOver = true;
      clearInterval(sampling);
      await watching;
    }
  }
}

function cardOf(number: number): string {
  return `card_${String(number).padStart(6, '0')}_1`;
}

export function formatFlood(result: FloodResult): string {
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
  const lines = [
    '| process | kept before: heap MiB | buffers MiB | resident MiB | after each flood: heap MiB | buffers MiB | ' +
      'resident MiB | at most resident MiB |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
  ];
  for (const name of ['engine', 'api'] as const) {
    const { kept, peakBytes } = result[name];
    const [before, ...after] = kept as [ProbedMemory, ...ProbedMemory[]];
    const each = (pick: (memory: ProbedMemory) => number) => after.map((memory) => mib(pick(memory))).join(' ');
    const cells = [
      name,
      ...[before.heapBytes, before.externalBytes, before.residentBytes].map(mib),
      each(({ heapBytes }) => heapBytes),
      each(({ externalBytes }) => externalBytes),
      each(({ residentBytes }) => residentBytes),
      peakBytes.map(mib).join(' '),
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  lines.push(
    '',
    `${result.changes} changes, ${result.changesPerSecond}/s; cut off by Redis ${result.cuts} times; ` +
      `${result.packetsRepeated} packets repeated; at most ${result.queuedMax} changes in memory and not in force.`,
  );
  return lines.join('\n');
}

async function main(): Promise<number> {
  const cards = sizeFromEnvironment('CARDS', 20_000);
  const changesOfEach = sizeFromEnvironment('CHANGES', 4);
  // A third of them each before, while and after the engine stands still.
  if (changesOfEach < 3) throw new Error(`CHANGES must be at least 3, not ${changesOfEach}`);
  for (const withRedis of [true, false]) {
    const result = await measureFlood({ cards, changesOfEach, floods: 2, withRedis }, (line) => console.error(line));
    console.log(`${withRedis ? 'By Redis' : 'By LISTEN/NOTIFY'}\n\n${formatFlood(result)}\n`);
  }
  return 0;
}

if (isMain(import.meta.url)) await runUntilSignal(main);
