/**
 * Chaos over several engines on one database. They are killed, suspended until they wake under a new owner, cut off
 * from Postgres, Redis and each other, restarted one by one; one joins and leaves. Cards are frozen meanwhile. A client
 * with its own ledger asks any of them, and repeats at another one. Nothing acknowledged is lost, nothing happens
 * twice, and the answers about each account have one order. CHAOS_EVENTS sets how many events, CHAOS_ENGINES how many
 * engines. TEST_SEED repeats the choices of a run (not its timing).
 */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { FrozenCards } from '../../api/testing/frozen-cards.js';
import { auditFrames } from '../../deploy/audit/audit-frames.js';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor, redisFor } from '../../deploy/testing/for-test.js';
import { Random } from '../protocols/testing/mutate.js';
import { CrashRun, decidedOf, eventsOf, judgeBooks } from '../testing/crash-run.js';
import { until } from '../testing/engine-process.js';
import { askable, FleetEngine } from '../testing/fleet.js';
import { Ledger } from '../testing/ledger.js';
import { operationOf, whyNoOrder } from '../testing/linearizability.js';
import { testSeed } from '../testing/runs.js';

const { CHAOS_EVENTS = '60', CHAOS_ENGINES = '3' } = process.env;
const eventsWanted = Number(CHAOS_EVENTS);
const engineCount = Number(CHAOS_ENGINES);

const accounts = 40;
const cardsPerAccount = 3;
const fundsMinor = 2_000_000;
const hotAccounts = 3;
const environment = {
  PARTITIONS: '6',
  WORKERS: '1',
  LEASE_MS: '1500',
  // Some answers come too late, so approvals are revoked as well.
  DEADLINE_MS: '500',
  // Without a feed for so long an engine approves nothing, and a freeze is in force without it.
  FEED_STALE_MS_MAX: '2000',
};

/** Each takes several times as long as any other event. */
const rollsMax = Math.ceil(eventsWanted / 20);

/** How often each of a hundred; the last one happens otherwise. */
const odds = [
  ['kill', 26],
  ['suspend', 24],
  ['cut off from Postgres', 14],
  ['cut off from its peers', 8],
  ['all cut off from each other', 4],
  ['cut off from Redis', 6],
  ['roll', 4],
  ['join or leave', 14],
] as const;
type Happening = (typeof odds)[number][0];

t.setTimeout(0);

class Chaos {
  readonly counts = new Map<Happening, number>();
  /** What goes on beside the next events. */
  readonly #underWay = new Set<Promise<void>>();
  #failure: Error | null = null;
  readonly #t: Test;
  readonly #random: Random;
  readonly #run: CrashRun;
  /** The last one joins and leaves. */
  readonly #engines: readonly FleetEngine[];

  constructor(t: Test, random: Random, run: CrashRun, engines: readonly FleetEngine[]) {
    this.#t = t;
    this.#random = random;
    this.#run = run;
    this.#engines = engines;
  }

  async happen(): Promise<void> {
    const what = this.#draw();
    if (what === 'roll') {
      if ((this.counts.get('roll') ?? 0) >= rollsMax) return this.happen();
      // It begins with everything in order, as an operator would see to it.
      await this.calm();
    }
    const healthy = this.#engines.filter(({ isHealthy }) => isHealthy);
    // One healthy engine remains, so that what is asked is answered.
    if (healthy.length < Math.min(2, engineCount)) {
      await delay(100);
      return this.happen();
    }
    const engine = this.#random.pick(healthy);
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    this.#t.comment(`${what}: ${engine.name}`);
    await this.#begin(what, engine);
    this.#placesAre(this.#engines);
    if (this.#failure !== null) throw this.#failure;
    await delay(200 + this.#random.below(1_500));
  }

  #draw(): Happening {
    let roll = this.#random.below(100);
    for (const [what, share] of odds) {
      if (roll < share) return what;
      roll -= share;
    }
    return odds[0][0];
  }

  async #begin(what: Happening, engine: FleetEngine): Promise<void> {
    const random = this.#random;
    const isSilent = random.oneIn(2);
    switch (what) {
      case 'kill':
        await engine.kill();
        return this.#beside(engine.startAfter(random.below(2_000)));
      case 'suspend':
        return this.#beside(engine.standStill(random.oneIn(8) ? random.below(20_000) : 1_000 + random.below(5_000)));
      case 'cut off from Postgres':
        return this.#beside(engine.cutOff('no database', isSilent, 500 + random.below(5_000)));
      case 'cut off from its peers':
        return this.#beside(engine.cutOff('no peers', isSilent, 500 + random.below(5_000)));
      case 'cut off from Redis':
        return this.#beside(engine.cutOff('no redis', isSilent, 500 + random.below(5_000)));
      case 'all cut off from each other':
        return this.#cutAll(isSilent, 500 + random.below(3_000));
      case 'roll':
        return this.#roll();
      case 'join or leave':
        return this.#joinOrLeave();
    }
  }

  async #cutAll(isSilent: boolean, forMs: number): Promise<void> {
    for (const { peers } of this.#engines) {
      if (isSilent) peers.stall();
      else peers.cut();
    }
    await delay(forMs);
    for (const { peers, trouble } of this.#engines) if (trouble !== 'no peers') peers.heal();
  }

  async #roll(): Promise<void> {
    for (const engine of this.#engines.filter(({ isHealthy }) => isHealthy)) {
      this.#placesAre(this.#engines.filter((other) => other !== engine));
      await engine.stop();
      await engine.start();
    }
  }

  async #joinOrLeave(): Promise<void> {
    const guest = this.#engines[engineCount];
    if (guest === undefined) return;
    if (guest.trouble === 'absent') return this.#beside(guest.start());
    if (guest.isHealthy) return this.#beside(guest.stop());
  }

  #placesAre(engines: readonly FleetEngine[]): void {
    const places = askable(engines);
    if (places.length > 0) this.#run.places = places;
  }

  #beside(work: Promise<void>): void {
    const ended = work
      .catch((error: unknown) => {
        this.#failure ??= error as Error;
      })
      .then(() => {
        this.#underWay.delete(ended);
        this.#placesAre(this.#engines);
      });
    this.#underWay.add(ended);
  }

  /** Everything that was done is undone. */
  async calm(): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.#failure !== null) throw this.#failure;
    this.#placesAre(this.#engines);
  }
}

t.test('several engines keep every acknowledged message through chaos', async (t) => {
  t.setTimeout(0);
  const random = new Random(testSeed);
  const { sql, url } = await databaseFor(t);
  const redis = await redisFor(t);
  await seedAccounts(sql, { accounts, cardsPerAccount, balanceMinor: fundsMinor });
  const services = { databaseUrl: url, redisUrl: redis.url, dataDir: folderFor(t) };
  const engines: FleetEngine[] = [];
  for (let number = 1; number <= (engineCount === 1 ? 1 : engineCount + 1); number++) {
    engines.push(await FleetEngine.make(t, `engine ${number}`, services, environment));
  }
  await Promise.all(engines.slice(0, engineCount).map((engine) => engine.start()));

  const ledger = new Ledger(random, accounts, cardsPerAccount, fundsMinor, hotAccounts);
  const run = new CrashRun(t, ledger, new Random(testSeed + 1), askable(engines), true);
  t.teardown(async () => {
    if (t.passing()) return;
    for (const { name, process } of engines) t.comment(`${name} said:\n${process?.logged}`);
    for (const line of await eventsOf(sql, run.suspects)) t.comment(line);
  });
  const chaos = new Chaos(t, random, run, engines);
  const frozen = await FrozenCards.start(t, { ...services, opsPort: engines[0]!.place.opsPort });
  const living = run.live(Number.POSITIVE_INFINITY);
  const freezing = frozen.live(() => run.places, new Random(testSeed + 2));
  // The books are compared before.
  await Promise.race([until('there is traffic', () => ledger.acknowledged.length > 0), living]);
  for (let count = 0; count < eventsWanted && t.passing(); count++) {
    await Promise.race([chaos.happen(), living, freezing]);
  }
  await chaos.calm();
  run.isEnding = true;
  frozen.isEnding = true;
  await Promise.all([living, freezing]);

  run.isEnding = false;
  run.recheckAll();
  await run.live(0);
  t.equal(ledger.unknown.size, 0, 'every message received an answer in the end');
  for (const engine of engines) if (engine.isHealthy) await engine.stop();

  await judgeBooks(t, sql, ledger, 0);
  t.same((await auditFrames(sql)).findings, [], 'the frames agree with the books');
  const start = { funds: fundsMinor, held: 0, posted: 0 };
  for (const { id } of ledger.accounts) {
    const history = ledger.acknowledged.filter(({ account }) => account.id === id).map(operationOf);
    const wrong = whyNoOrder(history, await decidedOf(sql, id), start);
    t.equal(wrong, '', `the answers about ${id} have one order`);
    if (wrong !== '') run.suspects.add(id);
  }
  t.ok(ledger.approved > eventsWanted, 'the events interrupted traffic');
  t.ok(frozen.checks > 0, 'freezes were in force');
  t.comment(
    `${[...chaos.counts].map(([what, count]) => `${what} ${count}`).join(', ')}; ` +
      `${ledger.acknowledged.length} messages acknowledged, ${ledger.approved} approved; ${run.repeats} asked again, ` +
      `${run.undecided} attempts without an answer, ${run.lost} connections lost; ` +
      `${frozen.freezes} freezes in force, ${frozen.checks} messages refused under them`,
  );
});
