/** Postgres answers late: known cards must not notice, because nothing on their path waits for it. */
import { startSlowProxy } from '../../slow-proxy.js';
import { alternate, type Bench, engineContender, plainTraffic, rate, type Scenario, warmUp } from '../bench.js';
import type { Series } from '../figures.js';

const delayMsFull = 50;

export const postgresSlow: Scenario = {
  name: 'postgres-slow',
  title: `5,000 authorizations per second of known cards while every answer of Postgres takes ${delayMsFull} ms more`,
  seconds: 50,
  engine: 'any',
  async run(bench) {
    const delayMs = bench.scale.name === 'smoke' ? 5 : delayMsFull;
    await bench.engineWith();
    const near = await withKnownCards(bench, 'Postgres near');
    const proxy = await startSlowProxy(bench.stack.engineDatabaseUrl, delayMs);
    // Not earlier: an engine must not lose its database while it stops.
    bench.ends.add(() => proxy.close());
    await bench.engineWith({ DATABASE_URL: proxy.url });
    const far = await withKnownCards(bench, `Postgres ${delayMs} ms away`);
    return {
      settings: { connections: 256, arrivals: 'Poisson', 'delay of Postgres, ms': delayMs },
      series: [...near, ...far],
      goals: [],
      notes: ['The two settings are measured one after the other, not in turn: the engine is restarted between them.'],
    };
  },
};

async function withKnownCards(bench: Bench, name: string): Promise<Series[]> {
  await warmUp(bench);
  const contender = engineContender(bench, name, () => ({
    pace: rate(bench, 5000),
    connectionCount: 256,
    traffic: plainTraffic(bench),
  }));
  return alternate(bench, [contender]);
}
