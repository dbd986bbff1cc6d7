/** Everything on one account, or one card: single-writer partitions have no lock to fight over, and this proves it. */
import postgres from 'postgres';
import { seedAccounts } from '../../../deploy/seed-accounts.js';
import {
  alternate,
  type Bench,
  balanceMinor,
  type Contender,
  engineContender,
  goal,
  plainTraffic,
  type Scenario,
} from '../bench.js';
import type { Series } from '../figures.js';

const connectionCount = 256;
const cardsOfHotAccount = 9;

function contender(bench: Bench, name: string, options: Parameters<typeof plainTraffic>[1]): Contender {
  return engineContender(bench, name, () => ({
    pace: { kind: 'closed' },
    connectionCount,
    traffic: plainTraffic(bench, options),
  }));
}

function hotScenario(name: string, title: string, hotName: string, cardsPerAccount: number): Scenario {
  return {
    name,
    title,
    seconds: 26,
    async run(bench) {
      if (cardsPerAccount > 1) await addCards(bench);
      const series = await alternate(bench, [
        contender(bench, 'spread out', {}),
        contender(bench, hotName, { cardCount: 1, cardsPerAccount }),
      ]);
      return {
        settings: { connections: connectionCount, traffic: 'plain authorizations' },
        series,
        goals: [hotGoal(series)],
        notes: [],
      };
    },
  };
}

function hotGoal([spread, hot]: readonly Series[]) {
  return goal(
    'at least 95 % of spread out',
    hot!.samples,
    ({ perSecond = 0 }, round) => perSecond >= 0.95 * (spread!.samples[round]!.figures.perSecond ?? 0),
  );
}

/** More cards for account 1, as `make seed ACCOUNTS=1 CARDS=9` adds them. */
async function addCards({ stack }: Bench): Promise<void> {
  const sql = postgres(stack.databaseUrl, { max: 1, connect_timeout: 10, onnotice: () => undefined });
  try {
    await seedAccounts(sql, { accounts: 1, cardsPerAccount: cardsOfHotAccount, balanceMinor });
  } finally {
    await sql.end({ timeout: 5 });
  }
}

export const hot: readonly Scenario[] = [
  hotScenario('hot-account', 'One hot account with nine cards', 'one account', cardsOfHotAccount),
  hotScenario('hot-card', 'One hot card', 'one card', 1),
];
