/**
 * Killed in the middle of its work and started again: how long until the first decision. RESTART_AUTHORIZATIONS says how
 * many it has behind it, some settled, the rest only in the journal.
 */
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { newIdPrefix } from '../../load/load.js';
import { scrapeMetrics } from '../../metrics.js';
import { loopback, type Stack } from '../../stack.js';
import { type Bench, measure, path, plainTraffic, type Scenario, sizeFromEnvironment } from '../bench.js';
import type { Sample } from '../figures.js';
import { sampleFrom } from '../sample.js';

const askEveryMs = 2;
const waitMsMax = 120_000;

export const restart: Scenario = {
  name: 'restart',
  title: 'Time to the first decision after a kill, counted from the kill',
  seconds: 60,
  async run(bench) {
    const behindCount = bench.scale.name === 'smoke' ? 500 : sizeFromEnvironment('RESTART_AUTHORIZATIONS', 500_000);
    await measure(bench, bench.stack.engine, {
      pace: { kind: 'closed' },
      connectionCount: 256,
      traffic: plainTraffic(bench),
      warmUpMs: 0,
      durationMs: 3_600_000,
      requestCountMax: behindCount,
    });
    const samples: Sample[] = [];
    for (let round = 0; round < bench.scale.roundCount; round++) samples.push(await killAndAsk(bench, behindCount));
    const met = samples.filter(({ figures }) => (figures.firstDecisionMs ?? 1e9) < 1000).length;
    return {
      settings: { authorizations: behindCount },
      series: [{ name: 'engine', control: false, samples }],
      goals: [{ text: 'first decision in under a second', metCount: met, roundCount: samples.length }],
      notes: ['Includes the start of Node.js itself, and a card that must be loaded from Postgres.'],
    };
  },
};

async function killAndAsk({ stack, log }: Bench, behindCount: number): Promise<Sample> {
  const metrics = await scrapeMetrics(stack.engine.metricsUrl).catch(() => null);
  const backlog = metrics?.values.get('shipper_lag_records') ?? null;
  const { port } = stack.engine;
  const startedMs = performance.now();
  const restarted = stack.restartEngine({ kill: true });
  // Only after the old process is gone can an answer be the new one's: the kill takes a moment, the start much longer.
  await delay(50);
  let firstDecisionMs: number | null = null;
  const prefix = newIdPrefix('restart');
  for (let attempt = 0; performance.now() - startedMs < waitMsMax; attempt++) {
    if (await isApproved(stack, port, `${prefix}-${attempt}`)) {
      firstDecisionMs = performance.now() - startedMs;
      break;
    }
    await delay(askEveryMs);
  }
  await restarted;
  log(`first decision after ${firstDecisionMs === null ? 'too long' : `${Math.round(firstDecisionMs)} ms`}`);
  return sampleFrom({ firstDecisionMs, behindCount, backlog }, firstDecisionMs === null ? ['no decision came'] : []);
}

function isApproved({ credentials }: Stack, port: number, id: string): Promise<boolean> {
  const body = JSON.stringify({ id, type: 'authorization', card: 'card_000001_1', amount: 100, currency: 'USD' });
  return new Promise((resolve) => {
    const call = request(
      {
        host: loopback,
        port,
        path,
        method: 'POST',
        auth: `${credentials.user}:${credentials.password}`,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        timeout: 1000,
      },
      (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve(response.statusCode === 200 && text.includes('"approved":true')));
        response.on('error', () => resolve(false));
      },
    );
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(false));
    call.end(body);
  });
}
