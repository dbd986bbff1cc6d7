/** Authorizations over a link of ISO 8583, open loop, beside a server that sends each frame back. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import postgres from 'postgres';
import { findFreePort } from '../../../deploy/free-port.js';
import { panOf } from '../../../engine/testing/iso-messages.js';
import { PanKeys } from '../../../platform/masking/hidden-ids.js';
import { type IsoLoadOptions, isoFraming, isoPackager, runIsoLoad } from '../../iso-load.js';
import { readProcessCpu } from '../../process-stats.js';
import { type Bench, goal, type Scenario } from '../bench.js';
import type { Sample } from '../figures.js';
import { sampleFrom } from '../sample.js';

const connectionCount = 8;
const askedPerSecond = 10_000;
const coldPerSecond = 2000;
const coldPassesMax = 6;
const cardCountMax = 10_000;

export const iso8583: Scenario = {
  name: 'iso8583',
  title: 'Authorizations over a link of ISO 8583, 8 connections, at 10,000 per second',
  seconds: 45,
  engine: 'any',
  async run(bench) {
    const cardCount = Math.min(cardCountMax, bench.scale.accountCount);
    const port = await startLink(bench, cardCount);
    const echo = new Worker(new URL('../../iso-echo.worker.js', import.meta.url));
    const [echoPort] = (await once(echo, 'message')) as [number];
    const engine: Sample[] = [];
    const control: Sample[] = [];
    try {
      // Brings every card, and warms the code: the second time none is looked up, unless the machine is busy.
      const passesMax = bench.scale.name === 'smoke' ? 1 : coldPassesMax;
      for (let pass = 1; pass <= passesMax; pass++) {
        const refused = await askOnce(port, cardCount);
        if (refused > 0) bench.log(`iso8583: ${refused} cards were not there in time`);
        else if (pass > 1) break;
      }
      for (let round = 0; round < bench.scale.roundCount; round++) {
        control.push(await measureLink(bench, { port: echoPort, cardCount, isEcho: true }));
        engine.push(await measureLink(bench, { port, cardCount, isEcho: false }));
        bench.log(`iso8583 round ${round + 1}: ${Math.round(engine.at(-1)!.figures.perSecond ?? 0)} answers/s`);
      }
    } finally {
      await echo.terminate();
    }
    return {
      settings: { connections: connectionCount, 'messages per second': askedPerSecond, cards: cardCount },
      series: [
        { name: 'echo of frames', control: true, samples: control },
        { name: 'engine', control: false, samples: engine },
      ],
      goals: [goal('10,000 answers a second', engine, ({ perSecond = 0 }) => perSecond >= askedPerSecond * 0.99)],
      notes: ['1987 in ASCII with two bytes of length, 0100 of some 180 bytes. The load shares the cores.'],
    };
  },
};

/** An engine with one link, and a card with a number for each account. @returns the link's port */
async function startLink(bench: Bench, cardCount: number): Promise<number> {
  const { dataDir, databaseUrl, secrets } = bench.stack;
  const keys = new PanKeys([secrets.PAN_KEY]);
  const tokens = Array.from({ length: cardCount }, (_, index) => keys.panTokens(panOf(index + 1))[0]!);
  const accounts = tokens.map((_, index) => `card_${String(index + 1).padStart(6, '0')}_1`);
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined });
  try {
    await sql`
      insert into cards (public_id, token, account_id, user_id, name, expires)
      select given.token, given.token, c.account_id, c.user_id, c.name, c.expires
      from unnest(${tokens}::text[], ${accounts}::text[]) as given (token, beside)
      join cards c on c.token = given.beside
      on conflict do nothing`;
  } finally {
    await sql.end();
  }
  const port = await findFreePort();
  const file = join(dataDir, 'links.json');
  const link = { name: 'bench', port, packager: isoPackager, framing: isoFraming, connectionsMax: 16 };
  await writeFile(file, JSON.stringify([link]));
  await bench.engineWith({ ISO8583_LINKS: file });
  return port;
}

/** Slowly, so that lookups do not miss the deadline. @returns how many cards were not approved */
async function askOnce(port: number, cardCount: number): Promise<number> {
  const durationMs = Math.ceil((cardCount * 1000) / coldPerSecond);
  const { others, missing } = await runIsoLoad({
    port,
    connectionCount,
    perSecond: coldPerSecond,
    warmUpMs: 0,
    durationMs,
    cardCount,
    isEcho: false,
  });
  return [...others.values()].reduce((sum, count) => sum + count, missing);
}

async function measureLink(
  { scale, stack }: Bench,
  target: Pick<IsoLoadOptions, 'port' | 'cardCount' | 'isEcho'>,
): Promise<Sample> {
  const perSecond = scale.name === 'smoke' ? 500 : askedPerSecond;
  const { warmUpMs, durationMs } = scale;
  const cpuSeconds = () => (target.isEcho ? null : readProcessCpu(stack.engine.pid)?.totalSeconds);
  const before = cpuSeconds();
  const result = await runIsoLoad({ ...target, connectionCount, perSecond, warmUpMs, durationMs });
  const after = cpuSeconds();
  const messageCount = (perSecond * (warmUpMs + durationMs)) / 1000;
  const cpuUs = before == null || after == null ? null : ((after - before) * 1e6) / messageCount;
  const { latency, others, missing, answersPerSecond: answered } = result;
  const { p50Ms, p90Ms, p99Ms, p99_9Ms, maxMs } = latency.summary();
  const faults = [...others].map(([code, count]) => `${count} × ${code === '' ? 'no code' : code}`);
  if (missing > 0) faults.push(`${missing} answers are missing`);
  const figures = { perSecond: answered, offeredPerSecond: perSecond, cpuUs, p50Ms, p90Ms, p99Ms, p99_9Ms, maxMs };
  const sample = sampleFrom({ ...figures, generatorUs: result.cpuUs }, scale.name === 'smoke' ? [] : faults);
  return { ...sample, histogram: latency.encode().histogram };
}
