/** Many engines: what the journal in Postgres costs, and what three engines behind nginx decide on one machine.
 */
import postgres from 'postgres';
import { TestNginx } from '../../../deploy/testing/test-nginx.js';
import type { EngineGroup } from '../../engine-group.js';
import { sizeFromEnvironment } from '../../run.js';
import { loopback } from '../../stack.js';
import {
  alternate,
  type Bench,
  type Contender,
  echoContender,
  engineContender,
  goal,
  type LoadPlan,
  measure,
  rate,
  realTraffic,
  type Scenario,
} from '../bench.js';
import { closed, connectionCount, makeGroup, settled, startWarm, written } from '../engines.js';
import { type Sample, type Series, samplesOf } from '../figures.js';
import { sampleOf, withFigures } from '../sample.js';

const pacedPerSecond = 2000;

export const cluster: Scenario = {
  name: 'cluster',
  title: 'Several engines on one Postgres, behind nginx',
  seconds: 230,
  engine: 'warm',
  async run(bench) {
    const engineCount = sizeFromEnvironment('ENGINES', 3);
    const group = await makeGroup(bench);
    await startWarm(bench, group, 1);
    const one = await speedOfOne(bench, group);
    await startWarm(bench, group, engineCount);
    const several = await speedOfSeveral(bench, group);
    await group.stop();
    const series = [...one, ...several];
    const atLeast =
      (min: number) =>
      ({ shareOfLocal = 0 }: Sample['figures']) =>
        shareOfLocal >= min;
    const spread = samplesOf(series, 'behind nginx');
    return {
      settings: { engines: engineCount, connections: connectionCount, traffic: 'plain authorizations' },
      series,
      goals: [
        goal('one engine: at least half of the local journal', samplesOf(series, 'one engine'), atLeast(0.5)),
        goal('behind nginx: at least 0.3 of the local journal', spread, atLeast(0.3)),
        goal(
          'one account: at least 0.9 of spread out',
          samplesOf(series, 'behind nginx, one account'),
          ({ perSecond = 0 }, round) => perSecond >= 0.9 * (spread[round]?.figures.perSecond ?? 1e9),
        ),
      ],
      notes: [
        'Everything runs on the same cores: engines, Postgres, nginx and the generator.',
        'CPU is that of all engines together.',
      ],
    };
  },
};

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
