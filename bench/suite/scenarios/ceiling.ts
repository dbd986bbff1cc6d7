/**
 * Closed loop, every connection asking as fast as it is answered: what the engine can do, as a share of a bare echo,
 * and beside the peers.
 */
import { peerDescriptions, peerNames } from '../../peers/peers.js';
import { alternate, type Bench, type Contender, goal, measure, plainTraffic, type Scenario } from '../bench.js';
import type { Sample, Series } from '../figures.js';
import { sampleOf, withFigures } from '../sample.js';

const peerConnectionCount = 64;

export const ceiling: Scenario = {
  name: 'ceiling',
  title: 'How fast, closed loop, beside a bare echo and other ways to authorize',
  seconds: 140,
  async run(bench) {
    const contenders: Contender[] = [];
    for (const connectionCount of [256, 64]) {
      contenders.push(
        contender(bench, `echo, ${connectionCount} connections`, true, () => bench.stack.echo, connectionCount, 'echo'),
        contender(bench, `engine, ${connectionCount} connections`, false, () => bench.stack.engine, connectionCount),
      );
    }
    const peers = await bench.peers();
    for (const peer of peers) {
      contenders.push(
        contender(bench, `${peer.name}, ${peerConnectionCount} connections`, true, () => peer, peerConnectionCount),
      );
    }
    const series = withShares(await alternate(bench, contenders));
    const engine256 = samplesOf(series, 'engine, 256 connections');
    const engine64 = samplesOf(series, 'engine, 64 connections');
    const times = (peer: string, factor: number) => {
      const others = samplesOf(series, `${peer}, ${peerConnectionCount} connections`);
      return goal(`at least ${factor} times ${peer}`, engine64, ({ perSecond = 0 }, round) => {
        // A peer that was not measured, or answered nothing, is nothing to be faster than.
        const other = others[round]?.figures.perSecond ?? 0;
        return other > 0 && perSecond >= factor * other;
      });
    };
    return {
      settings: {
        'peers, connections': peerConnectionCount,
        cards: bench.scale.accountCount,
        traffic: 'plain authorizations',
      },
      series,
      goals: [
        goal('256 connections: at least 75 % of the echo', engine256, ({ shareOfEcho }) => (shareOfEcho ?? 0) >= 0.75),
        goal('64 connections: at least 55 % of the echo', engine64, ({ shareOfEcho }) => (shareOfEcho ?? 0) >= 0.55),
        times('redis-always', 2),
        times('postgres-function', 5),
        times('fastify-postgres', 20),
      ],
      notes: peerNames.map((name) => {
        const { work, durability } = peerDescriptions[name];
        return peers.some((peer) => peer.name === name)
          ? `${name}: ${work}. Durability: ${durability}.`
          : `${name} was not measured: there is no redis-server here.`;
      }),
    };
  },
};

function contender(
  bench: Bench,
  name: string,
  control: boolean,
  server: () => Parameters<typeof measure>[1] | { pid: number; port: number; storePid: number | null },
  connectionCount: number,
  answers: 'decision' | 'echo' = 'decision',
): Contender {
  return {
    name,
    control,
    needsEngine: !control,
    async run() {
      const traffic = plainTraffic(bench, { answers });
      const target = { metricsUrl: null, ...server() };
      return sampleOf(await measure(bench, target, { pace: { kind: 'closed' }, connectionCount, traffic }));
    },
  };
}

/** Adds each engine round's share of the echo of the same round and number of connections. */
function withShares(series: readonly Series[]): Series[] {
  return series.map((one) => {
    const echo = samplesOf(series, one.name.replace(/^engine/, 'echo'));
    if (!one.name.startsWith('engine') || echo.length === 0) return one;
    const samples = one.samples.map((sample, round) => {
      const whole = echo[round]?.figures.perSecond ?? 0;
      return whole === 0 ? sample : withFigures(sample, { shareOfEcho: (sample.figures.perSecond ?? 0) / whole });
    });
    return { ...one, samples };
  });
}

function samplesOf(series: readonly Series[], name: string): readonly Sample[] {
  return series.find((one) => one.name === name)?.samples ?? [];
}
