/** JOURNAL=local: this engine is the writer of every partition, by one lease. */
import { frontKnowsIds } from './config.js';
import type { EngineBase } from './engine-base.js';
import type { PartitionHost } from './ledger/partition-host.js';
import type { CallFigures } from './ops/marqeta-watch.js';
import type { StartTimes } from './ops/start-times.js';
import type { EngineView, Ownership } from './ownership.js';
import { WriterLease } from './writer/writer-lease.js';

/** How much longer the lease lasts than the feed's limit: twice the longest time between two renewals of both. */
const staleBeforeLapseMsMax = 2000;

export class SoleWriter implements Ownership {
  readonly #base: EngineBase;
  readonly #times: StartTimes;
  readonly #hosts: readonly PartitionHost[];
  readonly lease: WriterLease;
  #ownCalls: (() => CallFigures) | null = null;

  constructor(base: EngineBase, times: StartTimes, hosts: readonly PartitionHost[]) {
    this.#base = base;
    this.#times = times;
    this.#hosts = hosts;
    const { config, holder, authUrl, opsUrl, log, lost } = base;
    const { databaseUrl, leaseMs, feedStaleMsMax } = config;
    this.lease = new WriterLease({
      databaseUrl,
      // A local journal's engine decides with Postgres away until the feed is stale, and is the writer that long.
      leaseMs: Math.max(leaseMs, feedStaleMsMax + Math.min(staleBeforeLapseMsMax, feedStaleMsMax / 4)),
      holder,
      authUrl,
      opsUrl,
      log,
      lost,
    });
  }

  /** Excludes every other engine from the journal and the ledger, and registers with the feed. */
  async take(): Promise<void> {
    const { database, feed, journal } = this.#base;
    const proof = await journal.take();
    this.#times.ended('journal');
    this.#base.prepareLookups();
    const { partitionCount } = this.#base.config;
    // An engine with the wrong journal must not hold up those that have the ledger.
    const taken = database.fixJournal(partitionCount, 'local').then(() => this.lease.take(proof));
    await taken.catch(async (error: unknown) => {
      throw await database.firstFailure(error);
    });
    this.#times.ended('lease');
    // Before anything is read: what is settled stands still, and whatever changes from here on comes by the feed. The
    // fence waits for statements under way, so those of an engine that is gone are ended.
    await Promise.all([this.lease.raiseFence(), database.endSettlers(null), feed.register()]);
    journal.assertLedger(await database.ledgerId());
  }

  async startPartitions(): Promise<void> {
    const hosts = this.#hosts;
    await Promise.all(hosts.map((host) => host.start(this.lease.fence)));
    // An id that another partition has answered must lead there from the first message on.
    if (frontKnowsIds(this.#base.config)) await Promise.all(hosts.map((host) => host.idsKnown));
  }

  /** No other engine can take over a local journal while this one runs. */
  async leave(): Promise<boolean> {
    return false;
  }

  stop(): Promise<void> {
    return this.lease.stop();
  }

  get isLapsed(): boolean {
    return this.lease.isLapsed;
  }

  get mayApprove(): boolean {
    return !this.lease.isLapsed;
  }

  partitionChanged(): void {
    // Nothing moves.
  }

  measure(): void {
    // There are no other engines.
  }

  elsewhere(partition: number): string {
    return `partition ${partition} is away`;
  }

  epochOf(): number {
    return this.lease.fence.epoch;
  }

  countCalls(own: () => CallFigures): void {
    this.#ownCalls = own;
  }

  async calls(): Promise<readonly CallFigures[]> {
    return [this.#ownCalls!()];
  }

  engines(): readonly EngineView[] {
    const { holder, authUrl, opsUrl } = this.#base;
    const partitions = this.#hosts.map(({ partition }) => partition);
    const { epoch } = this.lease.fence;
    return [{ id: holder, authUrl, opsUrl, epoch, partitions, leaseMsLeft: this.lease.msLeft }];
  }
}
