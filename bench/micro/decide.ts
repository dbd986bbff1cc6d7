/**
 * Deciding alone, the pure function: no bytes to read, nothing to apply, journal or answer. Half of the cards have
 * limits, so that rules and spend windows are read as they are in life. `node dist/bench/micro/decide.js [decisions]`.
 */
import { Decider } from '../../engine/core/decide.js';
import { policyDefault, World } from '../../engine/testing/world.js';
import { isMain } from '../run.js';

/** As many as the test world has room for; they stay in the cache, so this is deciding and not memory. */
const cardCount = 32;

/** Nanoseconds per decision, over the second half: the first warms the compiler up. */
export function measureDecide(decisions: number): number {
  const world = new World();
  const profiles = Array.from({ length: cardCount }, (_, index) => {
    const number = index + 1;
    world.setAccount({ number, currency: 'USD', funds: 1e12 });
    world.setUser({ number });
    const limits = {
      perAuthorization: 1e9,
      daily: { amount: 1e10, count: 1e6 },
      monthly: { amount: 1e11 },
      mcc: { block: ['7995'] },
    };
    const token = `card_${number}`;
    world.setCard({ token, number, account: number, user: number, ...(index % 2 === 0 ? { limits } : {}) });
    // Leaves the card's profile in the question, and the request as a codec would fill it.
    world.decide({ id: token, type: 'authorization', card: token, amount: 100, currency: 'USD', mcc: 5411 });
    return world.question.card!;
  });
  const { question, request, outcome } = world;
  const decider = new Decider(world.books, policyDefault, outcome);
  let approvedCount = 0;
  let startedAt = process.hrtime.bigint();
  const half = decisions >> 1;
  for (let index = 0; index < half * 2; index++) {
    if (index === half) startedAt = process.hrtime.bigint();
    question.card = profiles[index % cardCount]!;
    request.amountMinor = 100 + (index & 1023);
    decider.decide(question, request);
    if (outcome.approved) approvedCount++;
  }
  const ns = Number(process.hrtime.bigint() - startedAt) / half;
  if (approvedCount !== half * 2) throw new Error(`${half * 2 - approvedCount} decisions were not approvals`);
  return ns;
}

if (isMain(import.meta.url)) {
  const ns = measureDecide(Number(process.argv[2] ?? 4_000_000));
  process.stdout.write(`decide: ${ns.toFixed(1)} ns per decision, ${Math.round(1e9 / ns).toLocaleString('en-US')}/s\n`);
}
