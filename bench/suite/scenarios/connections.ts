/** Ten thousand open connections, each used in turn: what an idle connection costs and what it does to the tail. */
import { setTimeout as delay } from 'node:timers/promises';
import { alternate, type Bench, type Contender, goal, paced, pacedNames, type Scenario, warmUp } from '../bench.js';
import { samplesOf } from '../figures.js';

/**
 * A connection may count for its address until 13 s after it was made (newcomerMs of the authorization port). Those of
 * two rounds in a row would be more than one address may have.
 */
const forgottenMs = 14_000;

function afterwards({ scale }: Bench, contender: Contender): Contender {
  if (!contender.needsEngine || scale.name !== 'full') return contender;
  return {
    ...contender,
    async run() {
      const sample = await contender.run();
      await delay(forgottenMs);
      return sample;
    },
  };
}

export const connections: Scenario = {
  name: 'connections-10k',
  title: '10,000 connections at 5,000 authorizations per second',
  seconds: 130,
  engine: 'any',
  async run(bench) {
    // A fresh process: resident memory is one of the figures.
    await bench.engineWith();
    if (bench.scale.name === 'full') await warmUp(bench);
    const contenders = paced(bench, 5000, 10_000).map((contender) => afterwards(bench, contender));
    const series = await alternate(bench, contenders);
    const samples = samplesOf(series, pacedNames.engine);
    const isMet = ({ p99Ms = 1e9, residentMiB = 1e9 }) => p99Ms < 5 && residentMiB * 2 ** 20 < 400e6;
    return {
      settings: { connections: 10_000, arrivals: 'Poisson', traffic: 'authorizations, skewed cards and shops' },
      series,
      goals: [
        goal('p99 < 5 ms, resident memory < 400 MB', samples, isMet),
        {
          text: 'no error',
          metCount: samples.filter(({ faults }) => faults.length === 0).length,
          roundCount: samples.length,
        },
      ],
      notes: [],
    };
  },
};
