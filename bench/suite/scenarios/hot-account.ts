/** Everything on one account: single-writer partitions have no lock to fight over, and this proves it. */
import { ensureAccounts } from '../../accounts.js';
import { alternate, type Bench, balanceMinor, engineContender, goal, plainTraffic, type Scenario } from '../bench.js';

const connectionCount = 256;
const cardsPerAccount = 9;

export const hotAccount: Scenario = {
  name: 'hot-account',
  title: 'One hot account with nine cards',
  seconds: 26,
  engine: 'warm',
  async run(bench) {
    await ensureAccounts({ databaseUrl: bench.stack.databaseUrl, count: 1, cardsPerAccount, balanceMinor });
    const [spread, hot] = await alternate(bench, [
      contender(bench, 'spread out', {}),
      contender(bench, 'one account', { cardCount: 1, cardsPerAccount }),
    ]);
    return {
      settings: { connections: connectionCount, traffic: 'plain authorizations' },
      series: [spread!, hot!],
      goals: [
        goal(
          'at least 95 % of spread out',
          hot!.samples,
          ({ perSecond = 0 }, round) => perSecond >= 0.95 * (spread!.samples[round]!.figures.perSecond ?? 0),
        ),
      ],
      notes: [],
    };
  },
};

function contender(bench: Bench, name: string, options: Parameters<typeof plainTraffic>[1]) {
  return engineContender(bench, name, () => ({
    pace: { kind: 'closed' },
    connectionCount,
    traffic: plainTraffic(bench, options),
  }));
}
