/** Ticks add up to what the engines have counted, whatever lines are lost or late. */
import fc from 'fast-check';
import t from 'tap';
import { runs } from '../../engine/testing/runs.js';
import { type DecisionSample, type EngineLine, lineMs, samplesMax } from '../../platform/live/engine-line.js';
import { silentMs } from './engine-track.js';
import { LiveMerge } from './merge.js';

const boundsMs = [1, 2, 5, 10, 100];
const reasons = ['approved', 'insufficient_funds', 'limit_exceeded'] as const;

/** An engine that counts. */
class Counting {
  readonly decided: Record<string, number> = {};
  readonly refused: Record<string, number> = {};
  readonly counts = boundsMs.map(() => 0).concat(0);
  #sumMs = 0;
  #last: DecisionSample[] = [];
  total = 0;

  constructor(readonly id: string) {}

  decide(reason: string, tookMs: number, atMs: number): void {
    this.decided[reason] = (this.decided[reason] ?? 0) + 1;
    const bucket = boundsMs.findIndex((bound) => tookMs <= bound);
    this.counts[bucket < 0 ? boundsMs.length : bucket]! += 1;
    this.#sumMs += tookMs;
    const id = `${this.id}-${++this.total}`;
    const approved = reason === 'approved';
    const money = { amount: 1, currency: 'USD', merchant: null, card: '…0001' };
    this.#last.push({ id, authorizationId: id, atMs, approved, reason, ...money, tookMs });
  }

  line(atMs: number): EngineLine {
    const last = this.#last.splice(0).slice(-samplesMax);
    return {
      id: this.id,
      atMs,
      decided: { ...this.decided },
      refused: { ...this.refused },
      latency: { boundsMs, counts: [...this.counts] },
      hops: {
        wait: [this.total, this.#sumMs],
        decide: [this.total, 3 * this.total],
        journal: [this.total, this.total],
        send: [this.total, 0],
      },
      hopTimes: {
        wait: { boundsMs, counts: [...this.counts] },
        decide: { boundsMs, counts: boundsMs.map(() => 0).concat(this.total) },
        journal: { boundsMs, counts: boundsMs.map(() => 0).concat(0) },
        send: { boundsMs, counts: [this.total, 0, 0, 0, 0, 0] },
      },
      settleLagMs: this.total,
      settleLagRecords: 2,
      feedAgeMs: 1,
      feedStaleMsMax: 30_000,
      journalUsedShare: 0.5,
      epoch: 7,
      partitions: [0],
      last,
    };
  }
}

/** What an engine does in a quarter of a second, and whether its line arrives before the tick. */
const quarter = fc.record({
  decisions: fc.array(fc.record({ reason: fc.constantFrom(...reasons), tookMs: fc.integer({ min: 0, max: 200 }) }), {
    maxLength: 30,
  }),
  refusals: fc.nat({ max: 2 }),
  isLost: fc.boolean(),
});

/** What is beside the engines is no part of these. */
const nothing = { books: null, alerts: () => [] };

const startMs = 1_700_000_000_000;

t.test('ticks count what lies between the lines that came, once, and show no decision twice', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.array(quarter, { minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 3 }), (all) => {
      const merge = new LiveMerge(nothing, startMs);
      const engines = all.map((quarters, index) => ({ quarters, engine: new Counting(`e${index}`) }));
      const before = engines.map(() => ({ atMs: Number.NEGATIVE_INFINITY, decided: 0, approved: 0, refused: 0 }));
      const expected = { decided: 0, approved: 0, refused: 0 };
      const counted = { decided: 0, approved: 0, refused: 0, byReason: 0 };
      const shown: string[] = [];
      let came: string[] = [];
      for (let round = 0; round < 60; round++) {
        const nowMs = startMs + (round + 1) * lineMs;
        came = [];
        for (const [index, { quarters, engine }] of engines.entries()) {
          const now = quarters[round];
          if (now === undefined) continue;
          for (const { reason, tookMs } of now.decisions) engine.decide(reason, tookMs, nowMs - 1);
          engine.refused['system_error'] = (engine.refused['system_error'] ?? 0) + now.refusals;
          const line = engine.line(nowMs);
          if (now.isLost) continue;
          const is = {
            atMs: nowMs,
            decided: engine.total,
            approved: engine.decided['approved'] ?? 0,
            refused: engine.refused['system_error']!,
          };
          const was = before[index]!;
          if (nowMs - was.atMs < silentMs) {
            for (const name of ['decided', 'approved', 'refused'] as const) expected[name] += is[name] - was[name];
          }
          before[index] = is;
          merge.take(line, nowMs);
          came.push(...line.last.map(({ id }) => id));
        }
        const { tick } = merge.tick(nowMs);
        for (const name of ['decided', 'approved', 'refused'] as const) counted[name] += tick[name];
        counted.byReason += Object.values(tick.byReason).reduce((sum, count) => sum + count, 0);
        if (tick.windowMs !== lineMs) return false;
        if (tick.last.length !== Math.min(samplesMax, came.length)) return false;
        if (!tick.last.every(({ id }) => came.includes(id))) return false;
        shown.push(...tick.last.map(({ id }) => id));
      }
      const { decided, approved, refused } = counted;
      t.same({ decided, approved, refused }, expected);
      t.equal(counted.byReason, decided - approved + refused);
      return new Set(shown).size === shown.length;
    }),
    runs(60),
  );
});

t.test('several engines together have the latencies of one engine that decides everything', async (t) => {
  const took = fc.array(fc.tuple(fc.nat({ max: 2 }), fc.integer({ min: 0, max: 200 })), { minLength: 1 });
  fc.assert(
    fc.property(took, (decisions) => {
      const one = new Counting('one');
      const several = [0, 1, 2].map((index) => new Counting(`e${index}`));
      const alone = new LiveMerge(nothing, startMs);
      const together = new LiveMerge(nothing, startMs);
      alone.take(one.line(startMs), startMs);
      for (const engine of several) together.take(engine.line(startMs), startMs);
      for (const [engine, tookMs] of decisions) {
        one.decide('approved', tookMs, startMs);
        several[engine]!.decide('approved', tookMs, startMs);
      }
      const nowMs = startMs + lineMs;
      alone.take(one.line(nowMs), nowMs);
      for (const engine of several) together.take(engine.line(nowMs), nowMs);
      const [{ tick: expected }, { tick }] = [alone.tick(nowMs), together.tick(nowMs)];
      t.same(tick.latencyMs, expected.latencyMs);
      t.same(tick.hopsMs, expected.hopsMs);
      t.equal(tick.hopsMs!.decide, 2, 'without the sync');
      const { p50, p99, p999 } = tick.latencyMs!;
      return p50 <= p99 && p99 <= p999 && p999 <= 100;
    }),
    runs(60),
  );
});

t.test('an engine that is silent is shown as not up, then forgotten once it is not listed', async (t) => {
  const merge = new LiveMerge(nothing, startMs);
  const engine = new Counting('e');
  merge.list([{ id: 'e', epoch: 3, partitions: [1] }], startMs);
  t.match(merge.tick(startMs + 1).tick.engines, [{ id: 'e', isUp: false, ageMs: 1, epoch: 3, partitions: [1] }]);
  merge.take(engine.line(startMs + 2), startMs + 2);
  const after = (ms: number) => merge.tick(startMs + 2 + ms).tick;
  t.match(after(silentMs - 1), { settleLagRecords: 2, engines: [{ isUp: true, epoch: 7, journalUsedShare: 0.5 }] });
  t.match(after(silentMs), { settleLagRecords: 0, engines: [{ isUp: false, ageMs: silentMs }] });
  t.match(after(70_000).engines, [{ id: 'e', isUp: false }], 'while it is listed');
  merge.list([], startMs + 70_000);
  t.same(after(70_001).engines, []);
});

t.test('figures are of the last ten seconds', async (t) => {
  const merge = new LiveMerge(nothing, startMs);
  const engine = new Counting('e');
  let nowMs = startMs;
  const turn = () => {
    nowMs += lineMs;
    merge.take(engine.line(nowMs), nowMs);
    return merge.tick(nowMs).tick;
  };
  turn();
  for (let count = 0; count < 100; count++) engine.decide('approved', 3, nowMs);
  t.match(turn(), { decided: 100, engines: [{ decidedPerSecond: 200, p99Ms: 4.97 }] });
  for (let tick = 1; tick < 40; tick++) t.not(turn().latencyMs, null);
  t.match(turn(), { decided: 0, latencyMs: null, hopsMs: null, engines: [{ decidedPerSecond: 0, p99Ms: null }] });
});
