/** The engine beside other ways to authorize, closed loop. */
import { peerDescriptions, peerNames } from '../../peers/peers.js';
import { alternate, engineContender, goal, measure, plainTraffic, type Scenario } from '../bench.js';
import { samplesOf } from '../figures.js';
import { sampleOf } from '../sample.js';

const connectionCount = 64;

export const peers: Scenario = {
  name: 'peers',
  title: 'How fast, closed loop, beside other ways to authorize',
  seconds: 70,
  engine: 'warm',
  async run(bench) {
    const running = await bench.peers();
    const plan = () => ({ pace: { kind: 'closed' } as const, connectionCount, traffic: plainTraffic(bench) });
    const series = await alternate(bench, [
      engineContender(bench, 'engine', plan),
      ...running.map((peer) => ({
        name: peer.name,
        control: true,
        needsEngine: false,
        run: async () => sampleOf(await measure(bench, { metricsUrl: null, ...peer }, plan())),
      })),
    ]);
    const times = (peer: string, factor: number) =>
      goal(`at least ${factor} times ${peer}`, samplesOf(series, 'engine'), ({ perSecond = 0 }, round) => {
        // A peer that was not measured, or answered nothing, is nothing to be faster than.
        const other = samplesOf(series, peer)[round]?.figures.perSecond ?? 0;
        return other > 0 && perSecond >= factor * other;
      });
    return {
      settings: { connections: connectionCount, cards: bench.scale.accountCount, traffic: 'plain authorizations' },
      series,
      goals: [times('redis-always', 2), times('postgres-function', 5), times('fastify-postgres', 20)],
      notes: peerNames.map((name) => {
        const { work, durability } = peerDescriptions[name];
        return running.some((peer) => peer.name === name)
          ? `${name}: ${work}. Durability: ${durability}.`
          : `${name} was not measured: there is no redis-server here.`;
      }),
    };
  },
};
