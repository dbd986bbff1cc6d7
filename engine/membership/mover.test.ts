/** Movers of several engines over one real Postgres, with partitions that only note what happens to them. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { processUrl } from '../../deploy/testing/test-database.js';
import { createLog } from '../../platform/log.js';
import type { WriterFence } from '../core/writer-fence.js';
import type { OwnedPartition, PartitionState } from '../ledger/owned-partition.js';
import { until } from '../testing/engine-process.js';
import { runs } from '../testing/runs.js';
import { TcpProxy } from '../testing/tcp-proxy.js';
import { type Handover, Mover } from './mover.js';
import { planPartitions } from './plan.js';
import { Registry } from './registry.js';

/** What the journal knows of all engines: who took each partition over last. */
class Journals {
  readonly owners: (WriterFence | undefined)[] = [];
  /** Holder of each epoch of a partition. */
  readonly #epochs = new Map<string, string>();
  readonly faults: string[] = [];

  /** As journal_take_over: refuses an epoch that is older than the newest. */
  takeOver(partition: number, fence: WriterFence): void {
    const owner = this.owners[partition];
    if (owner !== undefined && owner.epoch > fence.epoch) throw new Error('partition has an owner of a higher epoch');
    const key = `${partition}/${fence.epoch}`;
    if ((this.#epochs.get(key) ?? fence.holder) !== fence.holder) this.faults.push(`two holders of ${key}`);
    this.#epochs.set(key, fence.holder);
    this.owners[partition] = fence;
  }
}

class FakePartition implements OwnedPartition {
  state: PartitionState = 'away';
  isPrepared = false;
  failuresLeft = 0;
  starts = 0;
  #fence: WriterFence | null = null;
  #run = 0;

  constructor(
    readonly partition: number,
    readonly journals: Journals,
    readonly stepMs: () => number,
  ) {}

  async prepare(): Promise<void> {
    await pass(this.stepMs());
    this.isPrepared = true;
  }

  async start(fence: WriterFence): Promise<void> {
    if (this.state !== 'away') this.journals.faults.push(`started while it is ${this.state}`);
    const run = ++this.#run;
    this.starts++;
    this.state = 'starting';
    try {
      await pass(this.stepMs());
      if (this.failuresLeft-- > 0) throw new Error('no memory for it');
      this.journals.takeOver(this.partition, fence);
      await pass(this.stepMs());
      if (run !== this.#run) throw new Error('dropped meanwhile');
      this.#fence = fence;
      this.state = 'ready';
    } catch (error) {
      if (run === this.#run) await this.drop();
      throw error;
    }
  }

  async release(closed?: () => void): Promise<void> {
    const run = this.#run;
    if (this.state === 'ready') {
      this.state = 'leaving';
      await pass(this.stepMs());
    }
    closed?.();
    if (run === this.#run) await this.drop();
  }

  async drop(): Promise<void> {
    this.#run++;
    this.#fence = null;
    this.state = 'away';
    this.isPrepared = false;
  }

  /** Decides something, where it may. @returns whether it was written to the journal */
  write(): boolean {
    if (this.state !== 'ready') return false;
    if (this.journals.owners[this.partition] === this.#fence) return true;
    // Its frame collides.
    void this.drop();
    return false;
  }
}

/** A step that takes no time is over before the database says anything. */
function pass(ms: number): Promise<void> {
  return ms === 0 ? Promise.resolve() : delay(ms);
}

class TestEngine {
  readonly registry: Registry;
  readonly mover: Mover;
  readonly fakes: readonly FakePartition[];
  isDead = false;
  /** Other engines that may have died. */
  readonly suspected = new Set<string>();
  /** What waits for a minute or longer. */
  readonly later: (() => void)[] = [];

  constructor(
    readonly stage: Stage,
    readonly proxy: TcpProxy,
    restMs: number,
  ) {
    const log = createLog('silent', 'test');
    this.registry = new Registry({
      ...{ databaseUrl: processUrl(proxy.url(stage.url), 'engine'), leaseMs: 60_000, id: randomUUID(), version: '1' },
      ...{ partitionCount: stage.partitionCount, log },
    });
    this.fakes = Array.from(
      { length: stage.partitionCount },
      (_, partition) => new FakePartition(partition, stage.journals, stage.stepMs),
    );
    this.mover = new Mover({
      registry: this.registry,
      partitions: this.fakes,
      isSuspected: (engineId) => this.suspected.has(engineId),
      askHandover: (to, partition) => stage.askHandover(this, to, partition),
      tellReady: async (to, partition) => stage.engines.find(({ id }) => id === to)?.mover.isTaken(partition),
      log,
      restMs,
      takenMsMax: stage.takenMsMax,
      schedule: (callback, delayMs) => {
        if (delayMs >= 60_000) {
          this.later.push(callback);
          return () => undefined;
        }
        const timer = setTimeout(callback, delayMs);
        return () => clearTimeout(timer);
      },
    });
  }

  get id(): string {
    return this.registry.id;
  }
  get ready(): number[] {
    return this.fakes.filter(({ state }) => state === 'ready').map(({ partition }) => partition);
  }

  /** Its process stands still, or its network is gone. */
  sleep(): void {
    this.proxy.cut();
  }

  wake(): void {
    this.proxy.heal();
  }

  die(): void {
    this.isDead = true;
    this.proxy.cut();
    this.mover.stop();
    for (const fake of this.fakes) void fake.drop();
  }

  async stop(): Promise<void> {
    this.mover.stop();
    await this.registry.stop();
    await this.proxy.close();
  }
}

class Stage {
  readonly journals = new Journals();
  readonly engines: TestEngine[] = [];
  stepMs = (): number => 0;
  /** What becomes of the next requests between engines. */
  hops: ('lost' | 'answer lost')[] = [];
  takenMsMax = 1000;
  /** False: the engines that ask are of an older version. */
  takes = true;

  private constructor(
    readonly url: string,
    readonly sql: postgres.Sql,
    readonly partitionCount: number,
  ) {}

  static async open(t: Pick<Test, 'teardown'>, partitionCount: number): Promise<Stage> {
    const { url, sql } = await databaseFor(t);
    const stage = new Stage(url, sql, partitionCount);
    t.teardown(() => Promise.all(stage.engines.map((engine) => engine.stop())));
    return stage;
  }

  async join(prepare: (fake: FakePartition) => void = () => undefined, restMs = 0): Promise<TestEngine> {
    const proxy = await TcpProxy.start(Number(new URL(this.url).port));
    const engine = new TestEngine(this, proxy, restMs);
    await engine.registry.join({ authUrl: '', opsUrl: '', peerHost: 'none', peerPort: 1 });
    this.engines.push(engine);
    engine.fakes.forEach(prepare);
    engine.mover.start();
    return engine;
  }

  async askHandover(from: TestEngine, to: string, partition: number): Promise<Handover> {
    const engine = this.engines.find(({ id }) => id === to);
    const hop = this.hops.shift();
    if (engine === undefined || engine.isDead || hop === 'lost') throw new Error('the connection is broken');
    const isReleased = await engine.mover.handover(partition, from.id, this.takes);
    if (hop === 'answer lost') throw new Error('the connection is broken');
    return isReleased;
  }

  /** The leases of these engines end, as when they have not renewed for long. */
  async lapse(engines: readonly TestEngine[]): Promise<void> {
    const ids = engines.map(({ id }) => id);
    await this.sql`
      update engines set renewed_at = renewed_at - interval '61 seconds'
      where id::text = any(${ids}) and renewed_at > clock_timestamp() - interval '60 seconds'`;
    await this.sql`update engines set steady_since = steady_since - interval '1 hour' where id::text <> all(${ids})`;
    // A lease ends without a notification: the engines that live look when they renew.
    await Promise.all(
      this.engines.filter((engine) => !engines.includes(engine)).map(({ registry }) => registry.look()),
    );
  }

  get alive(): TestEngine[] {
    return this.engines.filter(({ isDead }) => !isDead);
  }

  /** Every partition is ready on one of these engines, spread evenly, and each knows it. */
  isSpread(engines: readonly TestEngine[]): boolean {
    const counts = engines.map(({ ready }) => ready.length);
    const all = engines.flatMap(({ ready }) => ready);
    return (
      new Set(all).size === this.partitionCount &&
      all.length === this.partitionCount &&
      Math.max(...counts) - Math.min(...counts) <= 1 &&
      engines.every(
        ({ mover, fakes }) => mover.isSettled && fakes.every((fake) => fake.state === 'away' || fake.write()),
      )
    );
  }

  async untilSpread(engines: readonly TestEngine[] = this.alive): Promise<void> {
    await until(`spread: ${engines.map(({ ready }) => `[${ready}]`)}`, () => this.isSpread(engines));
  }
}

t.test('an engine that is alone starts everything, and one that joins takes its share', async (t) => {
  const stage = await Stage.open(t, 12);
  const a = await stage.join();
  await stage.untilSpread();
  t.equal(a.ready.length, 12);
  const b = await stage.join();
  await stage.untilSpread();
  const c = await stage.join();
  await stage.untilSpread();
  t.same([a.ready.length, b.ready.length, c.ready.length], [4, 4, 4]);
  const [row] = await stage.sql`select sum(epoch)::integer as takeovers from partition_leases`;
  t.equal(row!['takeovers'], 12 + 6 + 4, 'no partition has moved without need');
  t.same(stage.journals.faults, []);
});

t.test('an engine that leaves is empty when it has left, and what it had is ready elsewhere', async (t) => {
  const stage = await Stage.open(t, 7);
  stage.takenMsMax = 30_000;
  const [a, b, c] = [await stage.join(), await stage.join(), await stage.join()];
  await stage.untilSpread();
  await b.mover.leave(10_000);
  t.same([b.ready, b.fakes.every(({ state }) => state === 'away')], [[], true]);
  t.equal(a.ready.length + c.ready.length, 7, 'all are ready where they are now');
  await b.stop();
  await stage.untilSpread([a, c]);
  await c.mover.leave(10_000);
  await c.stop();
  await stage.untilSpread([a]);
  await a.mover.leave(10_000);
  t.same(a.ready, [], 'no engine is there to take it: it is released all the same');
  const [row] = await stage.sql`select count(*)::integer as count from partition_leases where holder is not null`;
  t.equal(row!['count'], 0);
  t.same(stage.journals.faults, []);
});

t.test(
  'an engine rests between two partitions of one that stays, and less between those of one that leaves',
  async (t) => {
    const stage = await Stage.open(t, 6);
    const a = await stage.join();
    await stage.untilSpread();
    // Whatever changes, as when a partition is ready.
    stage.stepMs = () => {
      setImmediate(() => {
        for (const { mover } of stage.engines) mover.wake();
      });
      return 1;
    };
    const b = await stage.join(undefined, 60_000);
    await until('it has the first one', () => b.ready.length === 1 && b.later.length === 1);
    for (let look = 0; look < 3; look++) await b.registry.look();
    t.equal(b.ready.length, 1, 'the next one comes when it has rested');
    await a.mover.leave(10_000);
    await stage.untilSpread([b]);
    t.same(a.ready, []);
    t.same(stage.journals.faults, []);
  },
);

t.test('a dead engine is replaced, and one that returns drops what is not its own', async (t) => {
  const stage = await Stage.open(t, 6);
  const [a, b, c] = [await stage.join(), await stage.join(), await stage.join()];
  await stage.untilSpread();
  b.die();
  c.sleep();
  await stage.lapse([b, c]);
  await stage.untilSpread([a]);
  t.equal(c.ready.length, 2, 'it believes to have them still');
  t.same(
    c.fakes.map((fake) => fake.write()).filter((written) => written),
    [],
    'and can write nothing',
  );
  c.wake();
  await stage.untilSpread([a, c]);
  t.same(stage.journals.faults, []);
});

t.test('what an engine has that may have died is prepared elsewhere, until it is dead or lives', async (t) => {
  const stage = await Stage.open(t, 6);
  const [a, b, c] = [await stage.join(), await stage.join(), await stage.join()];
  await stage.untilSpread();
  const prepared = () =>
    [a, b].flatMap(({ fakes }) => fakes.filter((fake) => fake.isPrepared && fake.state === 'away'));
  const suspect = (isSuspected: boolean) => {
    for (const { suspected, mover } of [a, b]) {
      if (isSuspected) suspected.add(c.id);
      else suspected.delete(c.id);
      mover.wake();
    }
  };
  const expected = [...c.ready];
  suspect(true);
  await until('its heirs have prepared its partitions', () => prepared().length === 2);
  t.same(
    prepared()
      .map(({ partition }) => partition)
      .sort(),
    expected,
  );
  t.same(c.ready, expected, 'none has moved');
  suspect(false);
  await until('they have dropped them', () => prepared().length === 0);
  // Longer than it may take: what is free is taken over before that.
  const slow = new Promise<void>(() => undefined);
  for (const { fakes } of [a, b]) for (const fake of fakes) fake.prepare = () => slow;
  suspect(true);
  c.die();
  await stage.lapse([c]);
  await stage.untilSpread([a, b]);
  t.same(stage.journals.faults, []);
});

t.test('a partition that does not start is free, and is tried again', async (t) => {
  const stage = await Stage.open(t, 2);
  const a = await stage.join();
  await stage.untilSpread();
  a.mover.stop();
  const b = await stage.join();
  b.fakes[1]!.failuresLeft = 3;
  a.die();
  await stage.lapse([a]);
  await stage.untilSpread([b]);
  const [lease] = await stage.sql`select epoch::integer as epoch from partition_leases where partition = 1`;
  t.equal(lease!['epoch'], 5, 'each start had an epoch of its own');
});

t.test('an engine on which nothing starts gives its share up, and has it again when it can', async (t) => {
  const stage = await Stage.open(t, 6);
  const a = await stage.join();
  await stage.untilSpread();
  const b = await stage.join((fake) => {
    fake.failuresLeft = Number.POSITIVE_INFINITY;
  });
  await until('the first has all of them again', () => stage.isSpread([a]) && b.mover.isSettled);
  t.equal(a.ready.length, 6);
  for (const fake of b.fakes) fake.failuresLeft = 0;
  await until('it waits before it tries again', () => b.later.length > 0);
  for (const tryAgain of b.later) tryAgain();
  await stage.untilSpread();
  t.same([a.ready.length, b.ready.length], [3, 3]);
  t.same(stage.journals.faults, []);
});

t.test('a partition that starts nowhere keeps no engine from its share', async (t) => {
  const stage = await Stage.open(t, 4);
  const a = await stage.join();
  const b = await stage.join();
  await stage.untilSpread();
  const damaged = b.ready[0]!;
  for (const { fakes } of [a, b]) fakes[damaged]!.failuresLeft = Number.POSITIVE_INFINITY;
  b.fakes[damaged]!.state = 'failed';
  b.mover.wake();
  await until('it was tried again and again', () => b.fakes[damaged]!.starts > 5);
  t.equal(b.ready.length, 1, 'the other partition of its share stays');
  t.equal(b.later.length, 0);
});

t.test('a partition that failed is started again', async (t) => {
  const stage = await Stage.open(t, 2);
  const a = await stage.join();
  await stage.untilSpread();
  a.fakes[0]!.state = 'failed';
  a.mover.wake();
  await stage.untilSpread();
  t.same(
    stage.journals.owners.map((fence) => fence!.epoch),
    [2, 1],
  );
});

t.test('a holder gives a partition only to the engine that the plan names', async (t) => {
  const stage = await Stage.open(t, 4);
  const [a, b] = [await stage.join(), await stage.join()];
  await stage.untilSpread();
  const [ours] = a.ready;
  t.equal(await a.mover.handover(ours!, b.id, true), false);
  t.equal(await a.mover.handover(99, b.id, true), false);
  t.equal(await a.mover.handover(ours!, randomUUID(), true), false);
  t.ok(a.ready.includes(ours!));
});

type Event = { readonly what: 'join' | 'die' | 'sleep' | 'wake' | 'leave' | 'lost' | 'fail'; readonly choice: number };

t.test('whatever engines do, no epoch has two holders, and in the end all is spread evenly', async (t) => {
  const event = fc.record<Event>({
    what: fc.oneof(
      { weight: 3, arbitrary: fc.constant('join' as const) },
      fc.constantFrom('die' as const, 'sleep', 'wake', 'leave', 'lost', 'fail'),
    ),
    choice: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(event, fc.integer({ min: 0, max: 60 })), { minLength: 3, maxLength: 10 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 0, max: 15 }),
      fc.boolean(),
      simulate,
    ),
    { ...runs(10), endOnFailure: true },
  );
  t.pass();
});

async function simulate(
  events: readonly (readonly [Event, number])[],
  partitionCount: number,
  stepMsMax: number,
  takes: boolean,
): Promise<void> {
  const ends: (() => unknown)[] = [];
  const stage = await Stage.open(
    { teardown: (end) => void ends.unshift(end) } as Pick<Test, 'teardown'>,
    partitionCount,
  );
  stage.takes = takes;
  let turn = 0;
  stage.stepMs = () => (turn++ * 7) % (stepMsMax + 1);
  const asleep = new Set<TestEngine>();
  const leaving: Promise<void>[] = [];
  const gone = () => [...asleep, ...stage.engines.filter(({ isDead }) => isDead)];
  const act = async ({ what, choice }: Event): Promise<void> => {
    const running = stage.alive.filter((engine) => !asleep.has(engine));
    const one = running[choice % Math.max(1, running.length)];
    if (what === 'join' && stage.alive.length < 4) await stage.join();
    if (what === 'wake') {
      for (const engine of asleep) engine.wake();
      asleep.clear();
    }
    if (what === 'lost') stage.hops.push('lost', 'answer lost');
    if (one === undefined || running.length < 2) return;
    if (what === 'fail') one.fakes[choice % partitionCount]!.failuresLeft = 1;
    if (what === 'die') one.die();
    if (what === 'sleep') {
      one.sleep();
      asleep.add(one);
    }
    if (what === 'die' || what === 'sleep') await stage.lapse(gone());
    if (what === 'leave') {
      leaving.push(
        one.mover.leave(5000).then(async () => {
          await one.stop();
          one.isDead = true;
        }),
      );
    }
  };
  try {
    await stage.join();
    for (const [event, waitMs] of events) {
      await act(event);
      await delay(waitMs);
      for (const engine of stage.alive) for (const fake of engine.fakes) fake.write();
    }
    await act({ what: 'wake', choice: 0 });
    await Promise.all(leaving);
    await until(`spread over ${stage.alive.map(({ ready }) => `[${ready}]`)}`, async () => {
      await stage.lapse(gone());
      return stage.isSpread(stage.alive);
    });
    const owners = stage.alive.flatMap(({ ready, id }) => ready.map((partition) => [partition, id] as const));
    for (const [partition, id] of owners) {
      if (stage.journals.owners[partition]?.holder !== id) throw new Error(`partition ${partition} is not ${id}'s`);
      if (planPartitions(stage.alive[0]!.registry.view, partitionCount)[partition] !== id)
        throw new Error('not as planned');
    }
    if (stage.journals.faults.length > 0) throw new Error(stage.journals.faults.join());
  } finally {
    for (const end of ends) await end();
  }
}
