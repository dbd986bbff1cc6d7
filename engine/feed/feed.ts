/**
 * The engine's end of the feed. It keeps cards, users and accounts in memory as the database has them, and says how far
 * changes are in force here. It knows when it can no longer vouch for that, and then nothing is approved.
 *
 *   messenger (Redis, or LISTEN/NOTIFY) ─► follower ─► delivery ─► lanes ─► workers
 *   outbox (Postgres) ─── renewals, repairs ──┘            └─► applied: lease, messenger, the engine's row
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ChangeLog } from '../../platform/cache/change-log.js';
import type { Log } from '../../platform/log.js';
import { OperationTimes } from '../../platform/metrics/operation-times.js';
import type { FeedEntry, RawEntry } from '../core/feed.js';
import type { SetApart } from '../lookups/set-apart.js';
import type { ComponentHealth } from '../ops/component-health.js';
import { type ChangedPartition, Delivery } from './delivery.js';
import { Follower } from './follower.js';
import { Lease, systemInstant } from './lease.js';
import { ListenMessenger } from './listen.js';
import type { LookupGuard } from './lookup-guard.js';
import type { Messenger } from './messenger.js';
import { Outbox } from './outbox.js';

/** The lease is renewed six times in its lifetime, and at least every second: one that fails is made up for. */
const renewalsPerLease = 6;
const renewMsMax = 1000;
/** Without a relay the engine looks for changes itself: no change waits for less than a tenth of a second by then. */
const pollMs = 100;
const tickMs = 5;
/** Changes per page, when earlier ones are looked up: some milliseconds of work, and others come first. */
const recallPage = 5000;
const recallPauseMs = 20;

export interface FeedOptions {
  readonly databaseUrl: string;
  /** Makes the messenger by Redis; null: Postgres LISTEN/NOTIFY. */
  readonly messenger: ((feedId: string, engineId: string) => Messenger) | null;
  readonly staleMsMax: number;
  readonly setApart: SetApart;
  readonly log: Log;
  /**
   * The database has fewer changes than this engine has applied: what it has in memory is newer, and hides what changes
   * now.
   */
  readonly setBack?: (newest: number) => void;
}

export interface FeedState {
  readonly lagMs: number;
  readonly applied: number;
  readonly newest: number;
  /** Changes in memory that are not in force yet. */
  readonly queued: number;
  readonly gaps: number;
  readonly repairs: number;
  readonly failures: number;
  readonly snapshots: number;
  readonly setApart: number;
  readonly ageMs: number;
}

export class EngineFeed {
  readonly #options: FeedOptions;
  readonly #outbox: Outbox;
  readonly #renewMs: number;
  #messenger: Messenger | null = null;
  #follower: Follower | null = null;
  #delivery: Delivery | null = null;
  #lease: Lease | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** From a change to its being in force here. For the metrics. */
  readonly changeTimes = new OperationTimes();
  #position = 0;
  #feedId = '';
  #cacheSpace = '';
  #isStopped = false;
  #recalled: Promise<void> = Promise.resolve();
  #applied = 0;
  #lagMs = 0;
  #behindSinceMs = 0;
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #isRenewing = false;
  #renewAgain = false;
  #isReporting = false;
  #reported = 0;
  /** Changes from here on are not reported as applied before the database knows which of them were set apart. */
  #unreportedFrom = Number.POSITIVE_INFINITY;
  #isReportingApart = false;
  #failure = '';
  #wasStale = false;
  #messengerFailure = '';

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#outbox = new Outbox(options.databaseUrl, options.staleMsMax);
    this.#renewMs = Math.min(renewMsMax, options.staleMsMax / renewalsPerLease);
  }

  /** Before anything is read: from here on nothing is missed. Throws when Postgres does not answer. */
  async register(): Promise<void> {
    const began = systemInstant();
    const { newest, feedId, cacheSpace } = await this.#outbox.register();
    this.#position = newest;
    this.#applied = newest;
    this.#options.setApart.known(await this.#outbox.setApart());
    this.#feedId = feedId;
    this.#cacheSpace = cacheSpace;
    this.#lease = new Lease(this.#options.staleMsMax, began, newest);
  }

  /** Names what is cached of the database; '' until registered. */
  get cacheSpace(): string {
    return this.#cacheSpace;
  }

  /**
   * Begins to follow. The partitions may still be starting.
   * @param changeLog hears of every change; null where nothing cached is used
   * @param changed called with every change, before it goes to a partition
   */
  start(
    partitions: readonly ChangedPartition[],
    partitionOf: (ownerKey: number) => number,
    guard: LookupGuard,
    changeLog: ChangeLog | null,
    nowMs: () => number,
    changed: (entry: FeedEntry) => void = () => undefined,
  ): void {
    const { databaseUrl, messenger: messengerByRedis, setApart, log } = this.#options;
    const before = (sequence: number) => {
      if (setApart.hasUnreported) this.#unreportedFrom = Math.min(this.#unreportedFrom, sequence);
    };
    const delivery = new Delivery(partitions, partitionOf, nowMs, (sequence, atMs) => {
      this.#lagMs = Math.max(0, Date.now() - atMs);
      this.changeTimes.add('', this.#lagMs);
      this.#setApplied(sequence);
    });
    const guarded = {
      get hasRoom() {
        return delivery.hasRoom;
      },
      get isIdle() {
        return delivery.isIdle;
      },
      deliver(raw: readonly RawEntry[]) {
        const entries = setApart.entries(raw);
        before(raw[0]?.sequence ?? 0);
        // Before the lanes: a lookup that comes back from here on knows that it may be too old.
        for (const entry of entries) {
          const { sequence, topic, payload } = entry;
          changed(entry);
          guard.changed(topic, payload.number, payload.version);
          if (sequence === 0) changeLog?.suspend();
          else changeLog?.changed(topic, payload.number, payload.version, sequence);
        }
        delivery.deliver(entries, raw.at(-1));
      },
    };
    const messenger =
      messengerByRedis === null
        ? new ListenMessenger(databaseUrl, this.#outbox)
        : messengerByRedis(this.#feedId, this.#outbox.engineId);
    const follower = new Follower(
      this.#position,
      messenger.carriesEntries,
      this.#outbox,
      guarded,
      (sequence) => {
        changeLog?.begin(sequence);
        this.#setApplied(sequence);
      },
      log,
      this.#options.setBack,
    );
    this.#delivery = delivery;
    this.#follower = follower;
    this.#messenger = messenger;
    this.#messengerFailure = messenger.failure;
    messenger.start({
      entries: (list, bytes) => follower.entries(list, bytes),
      announced: (newest) => follower.announced(newest),
      connected: () => this.#renew(),
    });
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#report();
    if (changeLog !== null) {
      changeLog.begin(this.#position);
      this.#recalled = this.#recall(changeLog);
    }
  }

  /** Resolves when the cache can tell whether an entry from before this start is current. */
  get recalled(): Promise<void> {
    return this.#recalled;
  }

  /** Looks up what changed before we began, so that what was cached then can be used. Without it Postgres is asked. */
  async #recall(changeLog: ChangeLog): Promise<void> {
    let floor = this.#position;
    try {
      while (floor > 0 && !this.#isStopped) {
        const { after, changes } = await this.#outbox.changesBetween(floor - recallPage, floor);
        if (after >= floor || !changeLog.recall(changes, after, floor)) return;
        floor = after;
        await delay(recallPauseMs);
      }
    } catch (error) {
      this.#options.log.debug({ error: (error as Error).message }, 'earlier changes could not be looked up');
    }
  }

  /** A partition is about to read what it starts with. */
  restoring(partition: ChangedPartition): void {
    this.#delivery?.restoring(partition);
  }

  /** A partition's lane has opened: what it missed goes first. @returns false when it has to be restored again */
  opened(partition: ChangedPartition): boolean {
    return this.#delivery?.opened(partition) ?? true;
  }

  /** Nothing may be approved: what is known of cards may be too old. Asked once a batch. */
  get isStale(): boolean {
    return this.#lease === null || this.#lease.isStale;
  }

  get state(): FeedState {
    const newest = this.#follower?.newest ?? this.#position;
    const behindMs = this.#applied < newest ? performance.now() - this.#behindSinceMs : 0;
    return {
      lagMs: Math.max(behindMs, this.#applied < newest ? 0 : this.#lagMs),
      applied: this.#applied,
      newest,
      queued: (this.#follower?.ahead ?? 0) + (this.#delivery?.queued ?? 0),
      gaps: this.#follower?.gaps ?? 0,
      repairs: this.#follower?.repairs ?? 0,
      failures: this.#follower?.failures ?? 0,
      snapshots: this.#follower?.snapshots ?? 0,
      setApart: this.#options.setApart.count,
      ageMs: this.#lease?.ageMs ?? 0,
    };
  }

  health(): { readonly feed: ComponentHealth; readonly redis: ComponentHealth } {
    const { ageMs, applied, newest } = this.state;
    const age = `up to date ${(ageMs / 1000).toFixed(1)} s ago, change ${applied} of ${newest} in force`;
    const messenger = this.#messenger;
    const way = messenger === null ? 'starting' : messenger.isUp ? `by ${messenger.name}` : 'by polling the outbox';
    const feed: ComponentHealth = this.isStale
      ? { status: 'unhealthy', detail: `stale, declining with system_error: ${age}; ${this.#failure || way}` }
      : { status: 'healthy', detail: `${age}, ${way}` };
    if (messenger?.name !== 'redis') return { feed, redis: { status: 'disabled', detail: 'REDIS_URL is not set' } };
    const redis: ComponentHealth =
      messenger.failure === ''
        ? { status: 'healthy', detail: 'subscribed' }
        : { status: 'unhealthy', detail: `changes are read from Postgres instead; ${messenger.failure}` };
    return { feed, redis };
  }

  /** Follows no longer. Call it when nothing can be approved any more: then no change needs to wait for this engine. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    this.#follower?.stop();
    await this.#messenger?.stop();
    await this.#outbox.unregister().catch(() => undefined);
    await this.#outbox.close();
  }

  #tick(): void {
    const nowMs = performance.now();
    this.#delivery!.retry();
    this.#reportSetApart();
    if (this.#applied >= this.#follower!.newest) this.#behindSinceMs = nowMs;
    const everyMs = this.#messenger!.isUp ? this.#renewMs : Math.min(pollMs, this.#renewMs);
    if (nowMs - this.#renewedAtMs >= everyMs) this.#renew();
    if (this.isStale !== this.#wasStale) {
      this.#wasStale = this.isStale;
      if (this.#wasStale)
        this.#options.log.error({ failure: this.#failure }, 'feed is stale: declining with system_error');
      else this.#options.log.warn('feed is up to date again: approving');
    }
    const { name, failure } = this.#messenger!;
    if (failure !== this.#messengerFailure) {
      this.#messengerFailure = failure;
      if (failure === '') this.#options.log.info({ by: name }, 'hints about changes arrive');
      else
        this.#options.log.warn(
          { by: name, failure },
          'no hints about changes arrive: changes are read from the outbox instead',
        );
    }
  }

  /** One at a time; asked for meanwhile, another one follows. */
  #renew(): void {
    if (this.#isRenewing) {
      this.#renewAgain = true;
      return;
    }
    this.#isRenewing = true;
    this.#renewAgain = false;
    this.#renewedAtMs = performance.now();
    void this.#renewOnce().finally(() => {
      this.#isRenewing = false;
      if (this.#renewAgain) this.#renew();
    });
  }

  async #renewOnce(): Promise<void> {
    const follower = this.#follower!;
    const began = systemInstant();
    const before = follower.received;
    try {
      const newest = await this.#outbox.renew(this.#reportable, this.#options.setApart.count);
      this.#failure = '';
      if (newest < before) follower.setBack(newest);
      this.#lease!.renewed(began, newest);
      follower.announced(newest);
    } catch (error) {
      this.#failure = (error as Error).message;
    }
  }

  #setApplied(sequence: number): void {
    this.#applied = sequence;
    this.#lease!.applied(sequence);
    this.#report();
  }

  get #reportable(): number {
    return Math.min(this.#applied, Math.max(0, this.#unreportedFrom - 1));
  }

  /**
   * Writes to the database what was set apart: the API must find it there before it learns that the change is applied.
   */
  #reportSetApart(): void {
    const { setApart } = this.#options;
    if (!setApart.hasUnreported || this.#isReportingApart) return;
    this.#isReportingApart = true;
    const list = setApart.takeUnreported();
    const from = this.#unreportedFrom;
    void this.#outbox.writeSetApart(list).then(
      () => {
        // What was set apart meanwhile has a later place, and is reported next.
        if (this.#unreportedFrom === from && !setApart.hasUnreported) this.#unreportedFrom = Number.POSITIVE_INFINITY;
        this.#isReportingApart = false;
        this.#report();
      },
      (error: Error) => {
        this.#failure = error.message;
        setApart.putBack(list);
        this.#isReportingApart = false;
      },
    );
  }

  /** Says how far we are, one word at a time: what came into force meanwhile is in the next one. */
  #report(): void {
    const applied = this.#reportable;
    if (this.#isReporting || this.#reported === applied || this.#messenger === null) return;
    this.#isReporting = true;
    void this.#messenger.applied(applied, this.#options.setApart.count).then((isSent) => {
      this.#isReporting = false;
      this.#reported = applied;
      // The engine's row says it instead.
      if (!isSent) this.#renew();
      this.#report();
    });
  }
}
