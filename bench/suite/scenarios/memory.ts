/** What a known card costs in memory. CARDS says how many; `make bench-memory CARDS=10000000` is the long form. */
import { measureMemory, memoryEngineEnv } from '../../memory.js';
import { sizeFromEnvironment } from '../../run.js';
import type { Scenario } from '../bench.js';
import { sampleFrom } from '../sample.js';

export const memory: Scenario = {
  name: 'memory',
  title: 'Memory of known cards',
  seconds: 60,
  async run(bench) {
    const { scale, stack, log } = bench;
    const cardCount = scale.name === 'smoke' ? 500 : sizeFromEnvironment('CARDS', 200_000);
    // A fresh process: what was taken before must not hide what the cards take.
    await stack.restartEngine({ env: memoryEngineEnv(scale.accountCount + cardCount) });
    try {
      const result = await measureMemory(stack, scale.accountCount + 1, cardCount, log);
      const faults = [
        ...(result.knownCount === cardCount ? [] : [`only ${result.knownCount} of ${cardCount} cards are known`]),
        ...(result.wrongCount === 0 ? [] : [`${result.wrongCount} wrong answers`]),
      ];
      const mebibytes = (bytes: number | null) => (bytes === null ? null : bytes / 2 ** 20);
      const { bytesPerCard, residentAfterBytes, residentBeforeBytes } = result;
      const isKnown = residentAfterBytes !== null && residentBeforeBytes !== null;
      const growth = isKnown ? residentAfterBytes - residentBeforeBytes : null;
      const sample = sampleFrom(
        {
          perSecond: result.cardsPerSecond,
          bytesPerCard,
          residentMiB: mebibytes(residentAfterBytes),
          residentGrowthMiB: mebibytes(growth),
        },
        faults,
      );
      const fits = bytesPerCard !== null && bytesPerCard * 10_000_000 < 2 * 2 ** 30;
      return {
        settings: { cards: cardCount },
        series: [{ name: 'engine', control: false, samples: [sample] }],
        goals: [{ text: 'at this price 10,000,000 cards fit in 2 GiB', metCount: fits ? 1 : 0, roundCount: 1 }],
        notes: ['With few cards the price of a card includes what the process needs anyway to load them.'],
      };
    } finally {
      await stack.restartEngine();
    }
  },
};
