/**
 * Killed in the middle of its work and started again: how long until the first decision. RESTART_SETTLED says how many
 * settled authorizations Postgres has (history.ts writes them). RESTART_AUTHORIZATIONS says how many more are sent
 * under full load just before, most of which are then only in the journal.
 */
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { basic } from '../../../engine/testing/client.js';
import { historyAmountMinor, historyId, writeHistory } from '../../history.js';
import { newIdPrefix } from '../../load/load.js';
import { scrapeMetrics } from '../../metrics.js';
import { sizeFromEnvironment } from '../../run.js';
import { loopback, type Stack } from '../../stack.js';
import { type Bench, cardToken, goal, measure, path, plainTraffic, type Scenario } from '../bench.js';
import type { Sample, Series } from '../figures.js';
import { sampleFrom, sampleOf, withFigures } from '../sample.js';
import { untilSettled } from '../settled.js';

const askEveryMs = 2;
const waitMsMax = 120_000;
const settleWaitMsMax = 600_000;
/** A lookup in Postgres on a machine that is busy with other work. */
const decideWaitMsMax = 15_000;
/** How long callers press at once after a start: what is not in memory yet must be looked up meanwhile. */
const pressMs = 5000;

export const restart: Scenario = {
  name: 'restart',
  title: 'Time to the first decision after a kill, counted from the kill',
  seconds: 150,
  engine: 'any',
  async run(bench) {
    const isSmoke = bench.scale.name === 'smoke';
    const historyCount = isSmoke ? 500 : sizeFromEnvironment('RESTART_SETTLED', 1_000_000);
    const tailCount = isSmoke ? 500 : sizeFromEnvironment('RESTART_AUTHORIZATIONS', 300_000);
    // Where nothing could be written, nothing is behind the engine: the table must not say otherwise.
    const settledCount = (await withHistory(bench, historyCount)) ? historyCount : 0;
    const settled: Sample[] = [];
    for (let round = 0; round < bench.scale.roundCount; round++) {
      settled.push(await killAndAsk(bench, settledCount));
      await everythingSettled(bench);
    }
    const forgotten = settledCount > 0 ? await askHistory(bench, settledCount) : [];
    const pressed = await press(bench, settledCount);
    const unsettled: Sample[] = [];
    for (let round = 0; round < bench.scale.roundCount; round++) {
      await everythingSettled(bench);
      await load(bench, tailCount);
      unsettled.push(await killAndAsk(bench, settledCount + tailCount * (round + 1)));
    }
    const series: Series[] = [
      { name: 'everything settled', control: false, samples: withFaults(settled, forgotten) },
      { name: 'first seconds under full load', control: false, samples: [pressed] },
      { name: 'most of the last load unsettled', control: false, samples: unsettled },
    ];
    return {
      settings: { 'settled before': settledCount, 'asked before each kill': tailCount },
      series,
      goals: [
        goal(
          'first decision in under a second, everything settled',
          series[0]!.samples,
          ({ firstDecisionMs = 1e9 }) => firstDecisionMs < 1000,
        ),
      ],
      notes: [
        'Includes the end of the killed process and the start of Node.js; Postgres was running. The first card is ' +
          'loaded from Postgres.',
        'The settled authorizations were written by Postgres itself, with open holds; the others went through the ' +
          'engine.',
        ...(settledCount > 0 ? [] : ['No settled authorizations were written before: that needs PARTITIONS=1.']),
      ],
    };
  },
};

/** Adds them to the last round, after which they were found. */
function withFaults(samples: readonly Sample[], faults: readonly string[]): Sample[] {
  return samples.map((sample, index) =>
    index < samples.length - 1 ? sample : { ...sample, faults: [...sample.faults, ...faults] },
  );
}

/** @returns false when the engine has several partitions: a history is for one */
async function withHistory(bench: Bench, count: number): Promise<boolean> {
  const { stack, scale, log } = bench;
  const sql = postgres(stack.databaseUrl, { max: 1, connect_timeout: 10, onnotice: () => undefined });
  try {
    const [partitions] = await sql<{ count: number }[]>`select count(*)::int as count from journal_positions`;
    if (partitions?.count !== 1) return false;
    await everythingSettled(bench);
    const { dataDir } = stack;
    const options = { sql, dataDir, count, accountCount: scale.accountCount, log };
    await stack.restartEngine({ between: () => writeHistory(options) });
    return true;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function everythingSettled({ stack, log }: Bench): Promise<void> {
  const isSettled = await untilSettled(stack, log, settleWaitMsMax);
  if (!isSettled) throw new Error('the engine does not settle what it decided');
}

/** Full load for as many authorizations. */
async function load(bench: Bench, count: number): Promise<void> {
  await measure(bench, bench.stack.engine, {
    pace: { kind: 'closed' },
    connectionCount: 256,
    traffic: plainTraffic(bench),
    warmUpMs: 0,
    durationMs: 3_600_000,
    requestCountMax: count,
  });
}

/**
 * Just under the default of SEEN_IDS_MAX, beyond which nothing is promised; what was asked since the start counts too.
 */
const rememberedCount = 4_000_000;

/** Oldest and newest id that must be known, once more: whether memory has them or only Postgres. */
async function askHistory({ stack }: Bench, count: number): Promise<string[]> {
  const faults: string[] = [];
  for (const number of [Math.max(1, count - rememberedCount), count]) {
    const answer = await askUntilDecided(stack, historyId(number));
    // With another card than its own, so a conflict: had the id been forgotten, this would be approved.
    if (answer === null || answer.status !== 409)
      faults.push(`message ${number} of the history was forgotten: ${answer?.status ?? 'no answer'}`);
  }
  return faults;
}

/** Asks again after no answer and after a 503: neither says what the engine remembers. Null: none came. */
async function askUntilDecided(stack: Stack, id: string): Promise<Reply | null> {
  const untilMs = performance.now() + decideWaitMsMax;
  let answer: Reply | null = null;
  while ((answer === null || answer.status === 503) && performance.now() < untilMs) {
    answer = await ask(stack, id, cardToken(1), historyAmountMinor);
  }
  return answer;
}

/** Full load from the first moment after a kill on. */
async function press(bench: Bench, behindCount: number): Promise<Sample> {
  const before = await killAndAsk(bench, behindCount);
  const measurement = await measure(bench, bench.stack.engine, {
    pace: { kind: 'closed' },
    connectionCount: 256,
    traffic: plainTraffic(bench),
    warmUpMs: 0,
    durationMs: bench.scale.name === 'smoke' ? bench.scale.durationMs : pressMs,
  });
  return withFigures(sampleOf(measurement, { refusalsExpected: true }), before.figures);
}

async function killAndAsk({ stack, log }: Bench, behindCount: number): Promise<Sample> {
  const metrics = await scrapeMetrics(stack.engine.metricsUrl).catch(() => null);
  const backlog = metrics?.values.get('shipper_lag_records') ?? null;
  const startedMs = performance.now();
  const restarted = stack.restartEngine({ kill: true });
  // An engine that does not start is found below; until then no code awaits the rejection, which would end the whole
  // suite.
  restarted.catch(() => undefined);
  // Only after the old process is gone can an answer be the new one's: the kill takes a moment, the start much longer.
  await delay(50);
  let firstDecisionMs: number | null = null;
  const prefix = newIdPrefix('restart');
  for (let attempt = 0; performance.now() - startedMs < waitMsMax; attempt++) {
    const answer = await ask(stack, `${prefix}-${attempt}`, cardToken(1), 100);
    if (answer?.status === 200 && answer.text.includes('"approved":true')) {
      firstDecisionMs = performance.now() - startedMs;
      break;
    }
    await delay(askEveryMs);
  }
  await restarted;
  log(`first decision after ${firstDecisionMs === null ? 'too long' : `${Math.round(firstDecisionMs)} ms`}`);
  return sampleFrom({ firstDecisionMs, behindCount, backlog }, firstDecisionMs === null ? ['no decision came'] : []);
}

interface Reply {
  readonly status: number;
  readonly text: string;
}

/** Null: no answer. */
async function ask({ engine, credentials }: Stack, id: string, card: string, amount: number): Promise<Reply | null> {
  try {
    const response = await fetch(`http://${loopback}:${engine.port}${path}`, {
      method: 'POST',
      headers: { authorization: basic(credentials.user, credentials.password), 'content-type': 'application/json' },
      body: JSON.stringify({ id, type: 'authorization', card, amount, currency: 'USD' }),
      signal: AbortSignal.timeout(1000),
    });
    return { status: response.status, text: await response.text() };
  } catch {
    return null;
  }
}
