/** A fresh engine knows no card: each is loaded from Postgres when it is first asked for, under the deadline. */
import { type Bench, measure, plainTraffic, type Scenario } from '../bench.js';
import type { Sample } from '../figures.js';
import { sampleOf } from '../sample.js';

const connectionCount = 64;

export const coldCache: Scenario = {
  name: 'cold-cache',
  title: 'Cards that the engine does not know yet, against the same cards known',
  seconds: 30,
  engine: 'any',
  async run(bench) {
    const cold: Sample[] = [];
    const known: Sample[] = [];
    for (let round = 0; round < bench.scale.roundCount; round++) {
      await bench.stack.restartEngine();
      cold.push(await everyCardOnce(bench));
      known.push(await everyCardOnce(bench));
    }
    return {
      settings: { connections: connectionCount, cards: bench.scale.accountCount, order: 'each card once' },
      series: [
        { name: 'unknown cards', control: false, samples: cold },
        { name: 'the same, known', control: false, samples: known },
      ],
      goals: [],
      notes: ['Unknown cards also meet a process that has just started, whose code is not compiled yet.'],
    };
  },
};

async function everyCardOnce(bench: Bench): Promise<Sample> {
  const measurement = await measure(bench, bench.stack.engine, {
    pace: { kind: 'closed' },
    connectionCount,
    traffic: plainTraffic(bench, { cardOrder: 'sequence' }),
    warmUpMs: 0,
    // The number of cards ends it.
    durationMs: 60_000,
    requestCountMax: bench.scale.accountCount,
  });
  return sampleOf(measurement);
}
