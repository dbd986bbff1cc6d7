/**
 * Whatever happens between the database, the feed, Redis and an engine, and in whatever order. A cached card that is
 * used has every change that was delivered to the engine before. The model below is the world around the log; the log
 * is the real one.
 */
import fc from 'fast-check';
import t from 'tap';
import { runs } from '../../engine/testing/runs.js';
import { ChangeLog, type PastChange } from './change-log.js';

/** Few keys, so that they meet; and room for fewer of their changes than there are. */
const keys = 4;
const changesMax = 3;

interface Entry {
  readonly key: number;
  readonly version: number;
  /** 0: committed, and not numbered yet. */
  sequence: number;
}
interface Value {
  readonly version: number;
  readonly asOf: number;
}

class World {
  /** Rows of Postgres, and its outbox. */
  readonly #versions = new Array<number>(keys).fill(1);
  #outbox: Entry[] = [];
  #newest = 0;
  #pruned = 0;
  /** Readers that have read and not yet written what they read. */
  readonly #reads: { readonly key: number; readonly value: Value }[] = [];
  #redis = new Map<number, Value>();
  #dump = new Map<number, Value>();
  /** The engine: what went past it, and its memory. */
  #log = new ChangeLog(changesMax);
  #received = 0;
  #memory = new Map<number, number>();
  /** Looks at Redis that have been answered and not yet used. */
  #looks: { readonly key: number; readonly value: Value }[] = [];
  #recallFloor = 0;
  #snapshotNewest = -1;
  used = 0;
  refused = 0;

  constructor() {
    this.#log.begin(0);
  }

  // --- the database -------------------------------------------------------------------------------------------------

  change(key: number): void {
    this.#outbox.push({ key, version: ++this.#versions[key]!, sequence: 0 });
  }

  number(): void {
    for (const entry of this.#outbox) if (entry.sequence === 0) entry.sequence = ++this.#newest;
  }

  prune(count: number): void {
    this.#pruned = Math.max(this.#pruned, Math.min(this.#newest, this.#pruned + count));
    this.#outbox = this.#outbox.filter(({ sequence }) => sequence === 0 || sequence > this.#pruned);
  }

  // --- Redis, and what fills it -------------------------------------------------------------------------------------

  read(key: number): void {
    this.#reads.push({ key, value: { version: this.#versions[key]!, asOf: this.#newest } });
  }

  /** Late, in any order, or never. */
  write(index: number): void {
    const [read] = this.#reads.splice(index % Math.max(1, this.#reads.length), 1);
    if (read !== undefined) this.#redis.set(read.key, read.value);
  }

  /** The relay replaces what is there. Whether it does at all, and how late, is chance. */
  replace(index: number): void {
    const numbered = this.#outbox.filter(({ sequence }) => sequence > 0);
    const entry = numbered[index % Math.max(1, numbered.length)];
    if (entry !== undefined && this.#redis.has(entry.key)) {
      this.#redis.set(entry.key, { version: entry.version, asOf: entry.sequence });
    }
  }

  flush(): void {
    this.#redis.clear();
  }
  save(): void {
    this.#dump = new Map(this.#redis);
  }
  restore(): void {
    this.#redis = new Map(this.#dump);
  }

  // --- the engine ---------------------------------------------------------------------------------------------------

  pass(count: number): void {
    if (this.#snapshotNewest >= 0) return;
    for (let passed = 0; passed < count; passed++) {
      const next = this.#outbox.find(({ sequence }) => sequence === this.#received + 1);
      if (next === undefined) return;
      this.#log.changed('card', next.key, next.version, next.sequence);
      this.#received = next.sequence;
      this.#take(next.key, next.version);
    }
  }

  /** A change reaches only what is in memory. */
  #take(key: number, version: number): void {
    const known = this.#memory.get(key);
    if (known !== undefined && known < version) this.#memory.set(key, version);
  }

  beginSnapshot(): void {
    if (this.#received >= this.#pruned || this.#snapshotNewest >= 0) return;
    this.#snapshotNewest = this.#newest;
    this.#log.suspend();
    for (let key = 0; key < keys; key++) this.#take(key, this.#versions[key]!);
  }

  endSnapshot(): void {
    if (this.#snapshotNewest < 0) return;
    this.#received = this.#snapshotNewest;
    this.#log.begin(this.#received);
    this.#recallFloor = 0;
    this.#snapshotNewest = -1;
  }

  evict(key: number): void {
    this.#memory.delete(key);
  }

  look(key: number): void {
    const value = this.#redis.get(key);
    if (value !== undefined) this.#looks.push({ key, value });
  }

  use(index: number): void {
    const [look] = this.#looks.splice(index % Math.max(1, this.#looks.length), 1);
    if (look === undefined) return;
    const { key, value } = look;
    if (!this.#log.isCurrent('card', key, value.version, value.asOf)) {
      this.refused++;
      return;
    }
    this.used++;
    if ((this.#memory.get(key) ?? 0) < value.version) this.#memory.set(key, value.version);
  }

  restart(): void {
    this.number();
    this.#log = new ChangeLog(changesMax);
    this.#received = this.#newest;
    this.#log.begin(this.#received);
    this.#recallFloor = this.#received;
    this.#memory.clear();
    this.#looks = [];
    this.#snapshotNewest = -1;
  }

  recall(page: number): void {
    const floor = this.#recallFloor;
    const after = Math.max(floor - page, this.#pruned);
    if (after >= floor) return;
    const changes: PastChange[] = this.#outbox
      .filter(({ sequence }) => sequence > after && sequence <= floor)
      .map(({ key, version }) => ({ topic: 'card', number: key, version }));
    this.#recallFloor = this.#log.recall(changes, after, floor) ? after : 0;
  }

  /** The newest version of each key that has gone past: the engine says that it is in force. */
  check(): void {
    for (const [key, version] of this.#memory) {
      const passed = this.#history(key);
      if (version < passed) throw new Error(`key ${key}: version ${version} in memory, ${passed} is in force`);
    }
    if (this.#log.size > changesMax) throw new Error(`${this.#log.size} changes remembered`);
  }

  /** Of all changes ever numbered up to what the engine received. */
  #history(key: number): number {
    return this.#numbered.get(key)?.findLast(({ sequence }) => sequence <= this.#received)?.version ?? 1;
  }

  /** Kept apart from the outbox, which is pruned. */
  readonly #numbered = new Map<number, { readonly version: number; readonly sequence: number }[]>();
  remember(): void {
    for (const { key, version, sequence } of this.#outbox) {
      const known = this.#numbered.get(key) ?? [];
      if (sequence > 0 && (known.at(-1)?.sequence ?? 0) < sequence) known.push({ version, sequence });
      this.#numbered.set(key, known);
    }
  }
}

const key = fc.nat(keys - 1);
const small = fc.integer({ min: 1, max: 5 });
type Step = (world: World) => void;
const steps = (weight: number, arbitrary: fc.Arbitrary<Step>) => ({ weight, arbitrary });
const step: fc.Arbitrary<Step> = fc.oneof(
  steps(
    6,
    key.map((k) => (world) => world.change(k)),
  ),
  steps(
    6,
    fc.constant((world) => world.number()),
  ),
  steps(
    8,
    small.map((count) => (world) => world.pass(count)),
  ),
  steps(
    6,
    key.map((k) => (world) => world.read(k)),
  ),
  steps(
    6,
    fc.nat(9).map((index) => (world) => world.write(index)),
  ),
  steps(
    3,
    fc.nat(9).map((index) => (world) => world.replace(index)),
  ),
  steps(
    8,
    key.map((k) => (world) => world.look(k)),
  ),
  steps(
    8,
    fc.nat(9).map((index) => (world) => world.use(index)),
  ),
  steps(
    5,
    key.map((k) => (world) => world.evict(k)),
  ),
  steps(
    1,
    fc.constant((world) => world.flush()),
  ),
  steps(
    1,
    fc.constant((world) => world.save()),
  ),
  steps(
    1,
    fc.constant((world) => world.restore()),
  ),
  steps(
    1,
    fc.constant((world) => world.restart()),
  ),
  steps(
    3,
    small.map((page) => (world) => world.recall(page)),
  ),
  steps(
    1,
    small.map((count) => (world) => world.prune(count)),
  ),
  steps(
    2,
    fc.constant((world) => world.beginSnapshot()),
  ),
  steps(
    2,
    fc.constant((world) => world.endSnapshot()),
  ),
);

t.test('a cached entry that is used has every change that was delivered before', async (t) => {
  let used = 0;
  let refused = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 40, maxLength: 160 }), (list) => {
      const world = new World();
      for (const run of list) {
        run(world);
        world.remember();
        world.check();
      }
      used += world.used;
      refused += world.refused;
    }),
    runs(6000),
  );
  t.ok(used > 1000 && refused > 1000, `the property was exercised: ${used} used, ${refused} refused`);
});
