/** People rename and change their cards while the engine decides: rows change, the outbox grows, hints go out. */
import postgres from 'postgres';
import { OutboxChangeFeed } from '../../../api/feed/change-feed.js';
import { Seals } from '../../../platform/redis/seal.js';
import { Latency } from '../../load/latency.js';
import { benchFeedKey } from '../../stack.js';
import { alternate, type Bench, measure, rate, realTraffic, type Scenario } from '../bench.js';
import type { Sample } from '../figures.js';
import { sampleOf, withFigures } from '../sample.js';

const changesPerSecond = 200;
const gapMs = 1000 / changesPerSecond;
/** Longer than the API waits: here late is slow, not a 202. */
const confirmMsMax = 5000;
/** Two seconds of changes; more means that they are not confirmed at all. */
const openCountMax = 400;

export const changesBeside: Scenario = {
  name: 'changes-beside',
  title: `5,000 authorizations per second while ${changesPerSecond} cards a second change`,
  seconds: 30,
  engine: 'warm',
  async run(bench) {
    const series = await alternate(bench, [
      { name: 'nothing changes', control: false, needsEngine: true, run: () => authorizations(bench) },
      { name: `${changesPerSecond} changes/s`, control: false, needsEngine: true, run: () => whileCardsChange(bench) },
    ]);
    return {
      settings: { connections: 256, arrivals: 'Poisson', 'changes per second': changesPerSecond },
      series,
      goals: [],
      notes: [],
    };
  },
};

async function authorizations(bench: Bench): Promise<Sample> {
  const traffic = realTraffic(bench, 'authorizations');
  return sampleOf(await measure(bench, bench.stack.engine, { pace: rate(bench, 5000), connectionCount: 256, traffic }));
}

/**
 * One statement per change, as the account API makes them: the row and its version, and with them the outbox entry.
 * Then the API's own feed confirms it, as it does before a freeze is acknowledged.
 */
async function whileCardsChange(bench: Bench): Promise<Sample> {
  const { databaseUrl } = bench.stack;
  const sql = postgres(databaseUrl, { max: 4, connect_timeout: 10, onnotice: () => undefined });
  const feed = new OutboxChangeFeed({
    databaseUrl,
    redisUrl: '',
    seals: new Seals([benchFeedKey]),
    log: { info: () => undefined, warn: () => undefined },
  });
  await feed.start();
  const confirmed = new Latency();
  const open = new Set<Promise<void>>();
  const failures = new Set<string>();
  let changeCount = 0;

  /** @param dueMs from when it counts: a change that this process came to late was asked for then all the same */
  const change = async (dueMs: number): Promise<void> => {
    const number = 1 + (changeCount++ % bench.scale.accountCount);
    const token = `card_${String(number).padStart(6, '0')}_1`;
    const [row] = await sql<{ id: string; version: string }[]>`
      update cards set name = ${`Changed ${changeCount}`}, version = version + 1 where token = ${token}
      returning id::text, version::text`;
    const isEffective = await feed.effective(
      { topic: 'card', key: row!.id, version: Number(row!.version) },
      confirmMsMax,
    );
    if (isEffective) confirmed.record((performance.now() - dueMs) * 1000);
    else failures.add(`a change was not in force after ${confirmMsMax} ms`);
  };
  const zeroMs = performance.now();
  let dueCount = 0;
  const timer = setInterval(() => {
    // By the clock and not by the timer's turns, which come late and would make fewer changes the busier the machine
    // is.
    const nowMs = performance.now();
    for (; zeroMs + dueCount * gapMs <= nowMs; dueCount++) {
      if (open.size >= openCountMax) {
        failures.add(`${openCountMax} changes waited for their confirmation at once`);
        continue;
      }
      const one = change(zeroMs + dueCount * gapMs)
        .catch((error: unknown) => void failures.add(String(error)))
        .finally(() => open.delete(one));
      open.add(one);
    }
  }, gapMs);
  try {
    const sample = await authorizations(bench);
    clearInterval(timer);
    await Promise.all(open);
    const { p50Ms, p99Ms } = confirmed.summary();
    const figures = { changeP50Ms: p50Ms, changeP99Ms: p99Ms };
    return withFigures({ ...sample, faults: [...sample.faults, ...failures] }, figures);
  } finally {
    clearInterval(timer);
    await feed.stop();
    await sql.end({ timeout: 10 });
  }
}
