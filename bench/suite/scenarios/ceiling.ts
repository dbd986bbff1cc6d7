/**
 * Closed loop: every connection sends as fast as it is answered. It shows what the engine can do as a share of a bare
 * echo, spread over all accounts and on a single one. Where wrk is installed, it asks too: a generator that is not
 * ours.
 */
import { newIdPrefix } from '../../load/load.js';
import { loopback } from '../../stack.js';
import { isWrkInstalled, runWrk } from '../../wrk.js';
import {
  alternate,
  type Bench,
  type Contender,
  durableEchoContender,
  echoContender,
  engineContender,
  goal,
  path,
  plainTraffic,
  type Scenario,
} from '../bench.js';
import { type Sample, type Series, samplesOf } from '../figures.js';
import { sampleFrom, withFigures } from '../sample.js';

const wrkConnectionCount = 256;

export const ceiling: Scenario = {
  name: 'ceiling',
  title: 'How fast, closed loop, beside a bare echo',
  seconds: 90,
  engine: 'warm',
  async run(bench) {
    const contenders = [
      ...pair(bench, '256 connections', 256, bench.scale.accountCount, bench.scale.name !== 'quick'),
      ...pair(bench, '64 connections', 64, bench.scale.accountCount, bench.scale.name !== 'quick'),
      ...pair(bench, '256 connections, one account', 256, 1),
      ...((await isWrkInstalled()) ? wrkPair(bench) : []),
    ];
    const series = withShares(await alternate(bench, contenders));
    const spread = samplesOf(series, 'engine, 256 connections');
    const share =
      (min: number) =>
      ({ shareOfEcho = 0 }: Sample['figures']) =>
        shareOfEcho >= min;
    return {
      settings: { cards: bench.scale.accountCount, traffic: 'plain authorizations' },
      series,
      goals: [
        goal('256 connections: at least 75 % of the echo', spread, share(0.75)),
        goal('64 connections: at least 55 % of the echo', samplesOf(series, 'engine, 64 connections'), share(0.55)),
        ...[256, 64].map((count) =>
          goal(
            `${count} connections: at least 70 % of the durable echo`,
            samplesOf(series, `engine, ${count} connections`),
            ({ shareOfDurableEcho = 0 }) => shareOfDurableEcho >= 0.7,
          ),
        ),
        goal(
          'one account: at least 95 % of spread out',
          samplesOf(series, 'engine, 256 connections, one account'),
          ({ perSecond = 0 }, round) => perSecond >= 0.95 * (spread[round]?.figures.perSecond ?? 1e9),
        ),
      ],
      notes: [],
    };
  },
};

/** @param durable with the durable echo, for which a quick run has no time */
function pair(bench: Bench, name: string, connectionCount: number, cardCount: number, durable = false): Contender[] {
  const plan = (answers: 'decision' | 'echo') => () => ({
    pace: { kind: 'closed' } as const,
    connectionCount,
    traffic: plainTraffic(bench, { answers, cardCount }),
  });
  return [
    echoContender(bench, `echo, ${name}`, plan('echo')),
    ...(durable ? [durableEchoContender(bench, `durable echo, ${name}`, plan('echo'))] : []),
    engineContender(bench, `engine, ${name}`, plan('decision')),
  ];
}

function wrkPair(bench: Bench): Contender[] {
  const { stack, scale } = bench;
  return (['echo', 'engine'] as const).map((server) => ({
    name: `${server}, ${wrkConnectionCount} connections by wrk`,
    control: server === 'echo',
    needsEngine: server === 'engine',
    async run() {
      const result = await runWrk({
        host: loopback,
        port: stack[server].port,
        path,
        credentials: stack.credentials,
        idPrefix: newIdPrefix('wrk'),
        cardCount: scale.accountCount,
        connectionCount: wrkConnectionCount,
        durationSeconds: Math.ceil(scale.durationMs / 1000),
        folder: stack.dataDir,
      });
      const { answersPerSecond: perSecond, p50Ms, p99Ms, errorCount } = result;
      return sampleFrom({ perSecond, p50Ms, p99Ms }, errorCount === 0 ? [] : [`${errorCount} errors`]);
    },
  }));
}

/** Adds each engine round's share of either echo of the same round and number of connections. */
function withShares(series: readonly Series[]): Series[] {
  return series.map((one) => {
    if (!one.name.startsWith('engine')) return one;
    const echo = samplesOf(series, one.name.replace(/^engine/, 'echo'));
    const durable = samplesOf(series, one.name.replace(/^engine/, 'durable echo'));
    const samples = one.samples.map((sample, round) => {
      const share = (of: Sample | undefined) => {
        const whole = of?.figures.perSecond ?? 0;
        return whole === 0 ? null : (sample.figures.perSecond ?? 0) / whole;
      };
      return withFigures(sample, { shareOfEcho: share(echo[round]), shareOfDurableEcho: share(durable[round]) });
    });
    return { ...one, samples };
  });
}
