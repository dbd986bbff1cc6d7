/**
 * Many engines: what the journal in Postgres costs, and what three engines behind nginx decide on one machine. How long
 * partitions are away when an engine is killed (KILLS times for each lease) or stopped.
 */
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { TestNginx } from '../../../deploy/testing/test-nginx.js';
import { basic } from '../../../engine/testing/client.js';
import { EngineGroup } from '../../engine-group.js';
import { newIdPrefix } from '../../load/load.js';
import { scrapeMetrics } from '../../metrics.js';
import { sizeFromEnvironment } from '../../run.js';
import { loopback } from '../../stack.js';
import {
  alternate,
  type Bench,
  balanceMinor,
  type Contender,
  cardToken,
  echoContender,
  engineContender,
  goal,
  type LoadPlan,
  measure,
  path,
  plainTraffic,
  rate,
  realTraffic,
  type Scenario,
} from '../bench.js';
import { type Sample, type Series, samplesOf } from '../figures.js';
import { sampleFrom, sampleOf, withFigures } from '../sample.js';

const connectionCount = 256;
const pacedPerSecond = 2000;
/** On so many cards every partition has one, with all but certainty. */
const askedCards = 64;
const askPauseMs = 20;
/** While a lease lapses, a test suite has other things to do than 3,000 questions a second. */
const smokeAskPauseMs = 250;
const takeoverMsMax = 60_000;
const settleMsMax = 60_000;
const settleLookMs = 200;
const handoverPerSecond = 500;
const handoverMs = 6000;
const stopAfterMs = 1500;
const longDeadline = { DEADLINE_MS: '1000' };
const shortLeaseMs = 1000;

export const cluster: Scenario = {
  name: 'cluster',
  title: 'Several engines on one Postgres, behind nginx',
  seconds: 620,
  engine: 'warm',
  async run(bench) {
    const isSmoke = bench.scale.name === 'smoke';
    const engineCount = sizeFromEnvironment('ENGINES', 3);
    const kills = isSmoke ? 1 : sizeFromEnvironment('KILLS', 30);
    const { stack, scale, ends } = bench;
    const { accountCount } = scale;
    const group = await EngineGroup.make({ stack, accountCount, balanceMinor, isDurable: !isSmoke, ends });
    await startWarm(bench, group, 1);
    const one = await speedOfOne(bench, group);
    await startWarm(bench, group, engineCount);
    const several = await speedOfSeveral(bench, group);
    const takeover = await takeovers(bench, group, kills, 'takeover, default lease');
    const stops = await handovers(bench, group, 'engine stopped, default deadline');
    await startWarm(bench, group, engineCount, { LEASE_MS: String(shortLeaseMs), ...longDeadline });
    const soon = await takeovers(bench, group, kills, `takeover, LEASE_MS=${shortLeaseMs}`);
    const waits = await handovers(bench, group, 'engine stopped, DEADLINE_MS=1000');
    await group.stop();
    const series = [...one, ...several, takeover, soon, stops, waits];
    const p99Below =
      (ms: number) =>
      ({ p99Ms = 1e9 }: Sample['figures']) =>
        p99Ms < ms;
    const atLeast =
      (min: number) =>
      ({ shareOfLocal = 0 }: Sample['figures']) =>
        shareOfLocal >= min;
    const spread = samplesOf(series, 'behind nginx');
    return {
      settings: { engines: engineCount, connections: connectionCount, kills, traffic: 'plain authorizations' },
      series,
      goals: [
        goal('one engine: at least half of the local journal', samplesOf(series, 'one engine'), atLeast(0.5)),
        goal('behind nginx: at least 0.3 of the local journal', spread, atLeast(0.3)),
        goal(
          'one account: at least 0.9 of spread out',
          samplesOf(series, 'behind nginx, one account'),
          ({ perSecond = 0 }, round) => perSecond >= 0.9 * (spread[round]?.figures.perSecond ?? 1e9),
        ),
        goal('takeover p99 below 5 s with the default lease', takeover.samples, p99Below(5000)),
        goal('takeover p99 below 1.5 s with LEASE_MS=1000', soon.samples, p99Below(1500)),
        goal('planned: no request above 500 ms', waits.samples, ({ maxMs = 1e9 }) => maxMs <= 500),
        goal(
          'planned: no refusal with the default deadline',
          stops.samples,
          ({ refusedCount = 1 }) => refusedCount === 0,
        ),
      ],
      notes: [
        'Everything runs on the same cores: engines, Postgres, nginx and the generator.',
        'A takeover lasts from the kill until each of 64 cards was approved at another engine.',
        'CPU is that of all engines together.',
      ],
    };
  },
};

async function startWarm(
  bench: Bench,
  group: EngineGroup,
  count: number,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  bench.log(`starting ${count} engines with their journal in Postgres`);
  const smoke = bench.scale.name === 'smoke' ? { DEADLINE_MS: '3000' } : {};
  await group.start(count, { ...env, ...smoke });
  // At each engine: each learns by itself which partition a card belongs to. Twice: what was loaded too late for its
  // deadline is known the second time.
  for (let time = 0; time < (bench.scale.name === 'smoke' ? 1 : 2); time++) {
    for (let engine = 0; engine < count; engine++) {
      await measure(bench, group.server(engine), {
        pace: { kind: 'closed' },
        connectionCount: 64,
        traffic: plainTraffic(bench, { kind: 'balance_inquiry', cardOrder: 'sequence' }),
        warmUpMs: 0,
        durationMs: settleMsMax,
        requestCountMax: bench.scale.accountCount,
      });
    }
  }
  if (bench.scale.name === 'smoke') return;
  // As the engine with the local journal (warmUp), in each of several processes: each gets a share of the messages.
  await measure(bench, group.target, { ...closed(bench), warmUpMs: 0, durationMs: count * bench.scale.durationMs });
}

function closed(bench: Bench, options: Parameters<typeof plainTraffic>[1] = {}): LoadPlan {
  return { pace: { kind: 'closed' }, connectionCount, traffic: plainTraffic(bench, options) };
}

/** The local journal is the measure; each is measured with the others' work settled. */
async function speedOfOne(bench: Bench, group: EngineGroup): Promise<readonly Series[]> {
  const series = await alternate(bench, [
    echoContender(bench, 'echo', () => closed(bench, { answers: 'echo' })),
    engineContender(bench, 'local journal', () => closed(bench)),
    groupContender(bench, group, 'one engine', () => closed(bench)),
    groupContender(bench, group, `one engine at ${pacedPerSecond}/s`, () => paced(bench)),
  ]);
  return withShares(series, 'local journal');
}

async function speedOfSeveral(bench: Bench, group: EngineGroup): Promise<readonly Series[]> {
  const { stack } = bench;
  const way = { auth: `${loopback}:${stack.echo.port}`, ops: `${loopback}:${stack.echo.port}`, weight: 1 };
  const nginx = await TestNginx.start({ engines: [way], apis: [{ api: way.auth, weight: 1 }], accessLog: null });
  try {
    const echo = { ...stack.echo, port: nginx.authPort, proxyPid: nginx.pid };
    const series = await alternate(bench, [
      {
        name: 'echo behind nginx',
        control: true,
        needsEngine: false,
        run: async () => sampleOf(await measure(bench, echo, closed(bench, { answers: 'echo' }))),
      },
      engineContender(bench, 'local journal, second time', () => closed(bench)),
      groupContender(bench, group, 'behind nginx', () => closed(bench)),
      groupContender(bench, group, 'behind nginx, one account', () => closed(bench, { cardCount: 1 })),
      groupContender(bench, group, `behind nginx at ${pacedPerSecond}/s`, () => paced(bench)),
    ]);
    return withShares(series, 'local journal, second time');
  } finally {
    await nginx.stop();
  }
}

function paced(bench: Bench): LoadPlan {
  return { pace: rate(bench, pacedPerSecond), connectionCount, traffic: realTraffic(bench, 'authorizations') };
}

function groupContender(bench: Bench, group: EngineGroup, name: string, plan: () => LoadPlan): Contender {
  const run = async () => {
    const sql = postgres(group.databaseUrl, { max: 1, onnotice: () => undefined });
    try {
      await settled(group);
      const before = await written(sql, group);
      const sample = sampleOf(await measure(bench, group.target, plan()));
      await settled(group);
      const after = await written(sql, group);
      const walBytes = (after.walBytes - before.walBytes) / Math.max(1, after.decisions - before.decisions);
      return withFigures(sample, { walBytes });
    } finally {
      await sql.end({ timeout: 5 });
    }
  };
  return { name, control: false, needsEngine: true, run };
}

/** WAL of the server and decisions of all engines until now. */
async function written(sql: postgres.Sql, group: EngineGroup): Promise<{ walBytes: number; decisions: number }> {
  const [row] = await sql<{ bytes: number }[]>`
    select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as bytes`;
  const metrics = await Promise.all(group.metricsUrls.map(scrapeMetrics));
  const decisions = metrics.reduce((sum, { values }) => sum + (values.get('authorization_decisions_total') ?? 0), 0);
  return { walBytes: row!.bytes, decisions };
}

async function settled(group: EngineGroup): Promise<void> {
  const giveUpAtMs = performance.now() + settleMsMax;
  while (performance.now() < giveUpAtMs) {
    const metrics = await Promise.all(group.metricsUrls.map((url) => scrapeMetrics(url).catch(() => null)));
    if (metrics.every((one) => one?.values.get('shipper_lag_records') === 0)) return;
    await delay(settleLookMs);
  }
}

/** Adds each round's share of the local journal in the same round. */
function withShares(series: readonly Series[], measureName: string): readonly Series[] {
  const local = samplesOf(series, measureName);
  return series.map((one) => {
    if (one.control || one.name === measureName || one.name.includes(' at ')) return one;
    const samples = one.samples.map((sample, round) => {
      const whole = local[round]?.figures.perSecond ?? 0;
      return whole === 0 ? sample : withFigures(sample, { shareOfLocal: (sample.figures.perSecond ?? 0) / whole });
    });
    return { ...one, samples };
  });
}

/** Each engine in turn is killed and started again. */
async function takeovers(bench: Bench, group: EngineGroup, kills: number, name: string): Promise<Series> {
  const engineCount = group.metricsUrls.length;
  const times: number[] = [];
  const faults: string[] = [];
  for (let kill = 0; kill < kills; kill++) {
    const victim = kill % engineCount;
    const other = group.server((victim + 1) % engineCount);
    const asks = new Asks(bench, other.port);
    await asks.untilAllApproved();
    await group.server(victim).kill();
    const takeoverMs = await asks.untilAllApproved();
    if (takeoverMs === null) faults.push(`a card was not approved within ${takeoverMsMax} ms`);
    else times.push(takeoverMs);
    bench.log(`${name}, ${kill + 1} of ${kills}: ${takeoverMs === null ? 'too long' : `${Math.round(takeoverMs)} ms`}`);
    await group.startOne(victim);
    await group.untilEven();
  }
  times.sort((one, another) => one - another);
  const percentile = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? null;
  const figures = { p50Ms: percentile(0.5), p99Ms: percentile(0.99), maxMs: times.at(-1) ?? null };
  return { name, control: false, samples: [sampleFrom({ rows: times.length, ...figures }, faults)] };
}

/** Small authorizations on many cards at one engine. */
class Asks {
  readonly #bench: Bench;
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(bench: Bench, port: number) {
    const { user, password } = bench.stack.credentials;
    this.#bench = bench;
    this.#url = `http://${loopback}:${port}${path}`;
    this.#headers = { authorization: basic(user, password), 'content-type': 'application/json' };
  }

  /** @returns how long until each card was approved; null when one was not in time */
  async untilAllApproved(): Promise<number | null> {
    const startedMs = performance.now();
    const prefix = newIdPrefix('takeover');
    const cardCount = Math.min(askedCards, this.#bench.scale.accountCount);
    const ends = await Promise.all(
      Array.from({ length: cardCount }, async (_, index) => {
        for (let attempt = 0; performance.now() - startedMs < takeoverMsMax; attempt++) {
          if (await this.#isApproved(`${prefix}-${index}-${attempt}`, cardToken(index + 1))) return performance.now();
          await delay(this.#bench.scale.name === 'smoke' ? smokeAskPauseMs : askPauseMs);
        }
        return null;
      }),
    );
    return ends.includes(null) ? null : Math.max(...ends.map((end) => end!)) - startedMs;
  }

  async #isApproved(id: string, card: string): Promise<boolean> {
    const body = JSON.stringify({ id, type: 'authorization', card, amount: 1, currency: 'USD' });
    const signal = AbortSignal.timeout(takeoverMsMax);
    const reply = await fetch(this.#url, { method: 'POST', headers: this.#headers, body, signal }).catch(() => null);
    return reply !== null && ((await reply.json()) as { readonly approved?: boolean }).approved === true;
  }
}

/** Under load one engine is stopped, and started again: its partitions go, and come back. */
async function handovers(bench: Bench, group: EngineGroup, name: string): Promise<Series> {
  const engineCount = group.metricsUrls.length;
  const isSmoke = bench.scale.name === 'smoke';
  const samples: Sample[] = [];
  for (let round = 0; round < bench.scale.roundCount; round++) {
    const victim = round % engineCount;
    const loading = measure(bench, group.target, {
      pace: rate(bench, handoverPerSecond),
      connectionCount: 64,
      traffic: plainTraffic(bench),
      // What is looked for lasts hundreds of milliseconds.
      lagMsMax: 50,
      durationMs: isSmoke ? bench.scale.durationMs : handoverMs,
    });
    await delay(isSmoke ? 10 : stopAfterMs);
    const moves = (async () => {
      await group.server(victim).stop();
      await group.startOne(victim);
    })();
    const [measurement] = await Promise.all([loading, moves]);
    await group.untilEven();
    const sample = withFigures(sampleOf(measurement, { refusalsExpected: true }), {
      refusedCount: measurement.load.refusedCount,
    });
    samples.push(sample);
    const { maxMs = 0, refusedCount } = sample.figures;
    bench.log(`${name}, round ${round + 1}: longest ${maxMs.toFixed(0)} ms, ${refusedCount} refused`);
  }
  return { name, control: false, samples };
}
