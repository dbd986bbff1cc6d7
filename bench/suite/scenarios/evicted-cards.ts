/**
 * More cards in use than fit into memory: seven of eight questions are about a card that has left it. What the cards
 * spend from has stayed, so with Redis they come back from there alone; without, from Postgres.
 */
import { askOnce, type Bench, measure, plainTraffic, rate, type Scenario } from '../bench.js';
import type { Sample, Series } from '../figures.js';
import { sampleOf } from '../sample.js';

const cardsInMemoryShare = 1 / 8;
const askedPerSecond = 2000;
const connectionCount = 64;

type Way = readonly [name: string, env: Readonly<Record<string, string>>, samples: Sample[]];

export const evictedCards: Scenario = {
  name: 'evicted-cards',
  title: 'Cards that have left memory, from Postgres and from Redis',
  seconds: 60,
  engine: 'any',
  async run(bench) {
    const redis = await bench.redis();
    const small = { CARDS_MAX: String(Math.max(4, Math.floor(bench.scale.accountCount * cardsInMemoryShare))) };
    const ways: Way[] = [['in memory', {}, []]];
    if (redis !== null) ways.push(['from Redis', { ...small, REDIS_URL: redis.url }, []]);
    ways.push(['from Postgres', small, []]);
    for (let round = 0; round < bench.scale.roundCount; round++) {
      for (const [, env, samples] of ways) {
        await bench.engineWith(env);
        // Brings every card, and with it its books, which stay.
        for (let pass = 0; pass < (bench.scale.name === 'smoke' ? 1 : 2); pass++) await askOnce(bench);
        samples.push(await askAtRandom(bench));
      }
    }
    const series: Series[] = ways.map(([name, , samples]) => ({ name, control: false, samples }));
    return {
      settings: { connections: connectionCount, arrivals: 'Poisson', 'questions per second': askedPerSecond, ...small },
      series,
      goals: [],
      notes: redis === null ? ['There is no redis-server here: Redis was not measured.'] : [],
    };
  },
};

async function askAtRandom(bench: Bench): Promise<Sample> {
  return sampleOf(
    await measure(bench, bench.stack.engine, {
      pace: rate(bench, askedPerSecond),
      connectionCount,
      traffic: plainTraffic(bench),
    }),
  );
}
