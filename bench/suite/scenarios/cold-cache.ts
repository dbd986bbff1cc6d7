/** A fresh engine knows no card: each is loaded from Postgres when it is first asked for, under the deadline. */
import { askOnce, type Scenario } from '../bench.js';
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
      cold.push(sampleOf(await askOnce(bench, { kind: 'authorization' }, connectionCount)));
      known.push(sampleOf(await askOnce(bench, { kind: 'authorization' }, connectionCount)));
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
