/**
 * How long partitions are away when an engine is killed (KILLS times for each lease) or stopped. Several engines share
 * one Postgres behind nginx.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { basic } from '../../../engine/testing/client.js';
import type { EngineGroup } from '../../engine-group.js';
import { newIdPrefix } from '../../load/load.js';
import { sizeFromEnvironment } from '../../run.js';
import { loopback } from '../../stack.js';
import { type Bench, cardToken, goal, measure, path, plainTraffic, rate, type Scenario } from '../bench.js';
import { makeGroup, settled, startWarm } from '../engines.js';
import type { Sample, Series } from '../figures.js';
import { sampleFrom, sampleOf, withFigures } from '../sample.js';

/** On so many cards every partition has one, with all but certainty. */
const askedCards = 64;
const askPauseMs = 20;
/** While a lease lapses, a test suite has other things to do than 3,000 questions a second. */
const smokeAskPauseMs = 250;
const takeoverMsMax = 60_000;
const handoverPerSecond = 500;
const handoverMs = 6000;
const stopAfterMs = 1500;
const longDeadline = { DEADLINE_MS: '1000' };
const shortLeaseMs = 1000;

export const takeover: Scenario = {
  name: 'takeover',
  title: 'Engines that are killed and stopped, of several on one Postgres',
  seconds: 480,
  engine: 'any',
  async run(bench) {
    const isSmoke = bench.scale.name === 'smoke';
    const engineCount = sizeFromEnvironment('ENGINES', 3);
    const kills = isSmoke ? 1 : sizeFromEnvironment('KILLS', 30);
    const group = await makeGroup(bench);
    await startWarm(bench, group, engineCount);
    const late = await takeovers(bench, group, kills, 'takeover, default lease');
    const stops = await handovers(bench, group, 'engine stopped, default deadline');
    await startWarm(bench, group, engineCount, { LEASE_MS: String(shortLeaseMs), ...longDeadline });
    const soon = await takeovers(bench, group, kills, `takeover, LEASE_MS=${shortLeaseMs}`);
    const waits = await handovers(bench, group, 'engine stopped, DEADLINE_MS=1000');
    await group.stop();
    const p99Below =
      (ms: number) =>
      ({ p99Ms = 1e9 }: Sample['figures']) =>
        p99Ms < ms;
    return {
      settings: { engines: engineCount, kills, 'authorizations a second around a stop': handoverPerSecond },
      series: [late, soon, stops, waits],
      goals: [
        goal('takeover p99 below 5 s with the default lease', late.samples, p99Below(5000)),
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
        'A takeover lasts from the kill until each of 64 cards was approved at another engine. All is settled before.',
      ],
    };
  },
};

/** Each engine in turn is killed and started again. */
async function takeovers(bench: Bench, group: EngineGroup, kills: number, name: string): Promise<Series> {
  const engineCount = group.metricsUrls.length;
  const times: number[] = [];
  const faults: string[] = [];
  // A next owner would first replay what the load before has left.
  await settled(group);
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
