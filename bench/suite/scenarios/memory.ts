/**
 * What a known card costs in memory: many cards are asked for their balance, once each, and the resident memory of the
 * engine is compared before and after. What counts is everything that a card in use brings along: profile, account,
 * index entries, and the memory of one answered question. CARDS says how many, up to 10,000,000.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ensureAccounts } from '../../accounts.js';
import { readResidentBytes } from '../../process-stats.js';
import { sizeFromEnvironment } from '../../run.js';
import { askOnce, type Bench, type Scenario } from '../bench.js';
import { sampleOf, withFigures } from '../sample.js';

/** Room for so many accounts and cards is the engine's default. */
const entriesDefault = 2 ** 22;
const cardCounts = { full: 200_000, quick: 100_000, smoke: 500 } as const;

export const memory: Scenario = {
  name: 'memory',
  title: 'Memory of known cards',
  seconds: 60,
  // A fresh process: what was taken before must not hide what the cards take.
  engine: 'any',
  async run(bench) {
    const { scale, stack } = bench;
    const cardCount = scale.name === 'full' ? sizeFromEnvironment('CARDS', cardCounts.full) : cardCounts[scale.name];
    const accountCount = scale.accountCount + cardCount;
    const room = String(accountCount);
    await bench.engineWith({
      // The longest one: a card that is declined because it came late would not count.
      DEADLINE_MS: '3000',
      ...(accountCount > entriesDefault ? { ACCOUNTS_MAX: room, CARDS_MAX: room } : {}),
    });
    await addAccounts(bench, accountCount);
    const before = readResidentBytes(stack.engine.pid);
    // The cards behind those of the suite, which are new to the engine.
    const measurement = await askOnce(bench, { cardFirst: scale.accountCount + 1, cardCount }, 256);
    const { load } = measurement;
    // Garbage of the load is collected while nothing happens, as far as the engine does so by itself.
    await delay(scale.name === 'smoke' ? 1 : 1000);
    const after = readResidentBytes(stack.engine.pid);
    const growth = before === null || after === null ? null : after - before;
    const bytesPerCard = growth === null ? null : growth / Math.max(1, load.rightCount);
    const sample = withFigures(sampleOf(measurement), {
      bytesPerCard,
      residentMiB: after === null ? null : after / 2 ** 20,
      residentGrowthMiB: growth === null ? null : growth / 2 ** 20,
    });
    const unknown = load.rightCount === cardCount ? [] : [`only ${load.rightCount} of ${cardCount} cards are known`];
    const fits = bytesPerCard !== null && bytesPerCard * 10_000_000 < 2 * 2 ** 30;
    return {
      settings: { cards: cardCount },
      series: [{ name: 'engine', control: false, samples: [{ ...sample, faults: [...sample.faults, ...unknown] }] }],
      goals: [{ text: 'at this price 10,000,000 cards fit in 2 GiB', metCount: fits ? 1 : 0, roundCount: 1 }],
      notes: ['With few cards the price of a card includes what the process needs anyway to load them.'],
    };
  },
};

async function addAccounts({ stack, log }: Bench, count: number): Promise<void> {
  let loggedAtMs = performance.now();
  const onProgress = (done: number) => {
    if (performance.now() - loggedAtMs < 2000) return;
    loggedAtMs = performance.now();
    log(`${done} of ${count} accounts are in the database`);
  };
  await ensureAccounts({ databaseUrl: stack.databaseUrl, count, balanceMinor: 1_000_000, onProgress });
}
