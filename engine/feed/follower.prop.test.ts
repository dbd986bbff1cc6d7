/** Whatever the messenger does with them, every change is delivered, in order where it matters, and none is made up. */
import fc from 'fast-check';
import t from 'tap';
import type { FeedEntry } from '../core/feed.js';
import { runs } from '../testing/runs.js';
import { type FeedSource, Follower, type OutboxPage } from './follower.js';

const entry = (sequence: number): FeedEntry => ({
  sequence,
  atMs: 0,
  topic: 'user',
  payload: { number: sequence, version: 1, status: 'active', limits: null, ownerKey: 1 },
});
const range = (from: number, to: number) =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** An outbox in memory, and what arrived in the lanes. */
class Stage implements FeedSource {
  newest = 0;
  pruned = 0;
  fails = 0;
  readonly delivered: number[] = [];
  /** Where in `delivered` a snapshot ended, with its number: changes behind that number come once more. */
  readonly restarts = new Map<number, number>();
  hasRoom = true;
  readonly isIdle = true;
  snapshots = 0;
  applied = 0;
  readonly follower: Follower;

  constructor() {
    const quiet = { warn: () => undefined, error: () => undefined };
    const applied = (sequence: number) => {
      this.applied = sequence;
      this.restarts.set(this.delivered.length, sequence);
    };
    this.follower = new Follower(0, true, this, this, applied, quiet);
  }

  async read(after: number, limit: number): Promise<OutboxPage> {
    if (this.fails > 0) {
      this.fails--;
      throw new Error('away');
    }
    const { newest, pruned } = this;
    await turn();
    const from = Math.max(after, pruned) + 1;
    return { newest, pruned, entries: range(from, Math.min(newest, after + limit)).map(entry) };
  }

  async *snapshot(): AsyncIterable<readonly FeedEntry[]> {
    this.snapshots++;
    await turn();
    yield [{ ...entry(1), sequence: 0 }];
  }

  deliver(entries: readonly FeedEntry[]): void {
    this.delivered.push(...entries.map(({ sequence }) => sequence));
  }

  async settled(): Promise<void> {
    for (let turns = 0; turns < 10_000; turns++) {
      if (!this.follower.isRepairing && this.follower.received >= this.newest) return;
      if (!this.follower.isRepairing) this.follower.announced(this.newest);
      await turn();
    }
    throw new Error('never settled');
  }
}

const action = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), count: fc.integer({ min: 1, max: 50 }) }),
  fc.record({
    kind: fc.constant('publish' as const),
    at: fc.integer({ min: -60, max: 0 }),
    count: fc.integer({ min: 1, max: 20 }),
  }),
  fc.record({ kind: fc.constant('shuffle' as const), count: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ kind: fc.constant('heartbeat' as const) }),
  fc.record({ kind: fc.constant('outage' as const), count: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant('prune' as const) }),
  fc.record({ kind: fc.constant('full' as const), isFull: fc.boolean() }),
  fc.record({ kind: fc.constant('turn' as const) }),
);

t.test('every change is delivered once and in order, unless a snapshot replaces it', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const stage = new Stage();
      const { follower } = stage;
      for (const step of actions) {
        if (step.kind === 'write') stage.newest += step.count;
        else if (step.kind === 'publish') {
          const from = Math.max(1, stage.newest + step.at);
          follower.entries(range(from, Math.min(stage.newest, from + step.count)).map(entry));
        } else if (step.kind === 'shuffle') {
          for (const sequence of range(Math.max(1, stage.newest - step.count), stage.newest).reverse()) {
            follower.entries([entry(sequence)]);
          }
        } else if (step.kind === 'heartbeat') follower.announced(stage.newest);
        else if (step.kind === 'outage') stage.fails = step.count;
        else if (step.kind === 'prune') stage.pruned = stage.newest;
        else if (step.kind === 'full') stage.hasRoom = !step.isFull;
        else await turn();
      }
      stage.hasRoom = true;
      await stage.settled();
      const missing = new Set(range(1, stage.newest));
      let before = 0;
      for (const [index, sequence] of stage.delivered.entries()) {
        before = Math.min(before, stage.restarts.get(index) ?? before);
        // Rows of a snapshot have no number.
        if (sequence === 0) continue;
        if (sequence <= before) throw new Error(`${sequence} behind ${before}`);
        before = sequence;
        missing.delete(sequence);
      }
      if (missing.size > 0 && stage.snapshots === 0) throw new Error(`missing ${[...missing]}`);
      // What a snapshot stands for lies below what it was said to be of.
      for (const sequence of missing) if (sequence > stage.applied) throw new Error(`missing ${sequence}`);
      follower.stop();
    }),
    runs(300),
  );
  t.pass('the property holds');
});

t.test('after the database was restored from an older copy the follower reads a whole snapshot', async (t) => {
  const stage = new Stage();
  stage.newest = 5;
  stage.follower.announced(5);
  await stage.settled();
  stage.newest = 3;
  stage.follower.setBack(3);
  await stage.settled();
  t.equal(stage.snapshots, 1);
  t.equal(stage.follower.received, 3);
  stage.newest = 4;
  stage.follower.entries([entry(4)]);
  t.same(stage.delivered.slice(-1), [4]);
});
