/** An engine as a whole: starts its parts in order, and stops them. main.ts runs it; tests run it in their process. */
import type { Log } from '../platform/log.js';
import { checkDatabaseRole } from '../platform/postgres/database-role.js';
import { endYielding } from '../platform/process/start-priority.js';
import { Cluster } from './cluster.js';
import type { EngineConfig } from './config.js';
import { type EngineBase, engineBase } from './engine-base.js';
import { LapseClock } from './ledger/lapse-clock.js';
import type { StorageFaults } from './ledger/threads.js';
import { type LedgerParts, ledgerParts } from './ledger-parts.js';
import { StartTimes } from './ops/start-times.js';
import { type OpsParts, opsParts } from './ops-parts.js';
import type { Ownership } from './ownership.js';
import { portParts } from './port-parts.js';
import { compileNextCheck } from './protocols/reading/schema.js';
import { SoleWriter } from './sole-writer.js';
import { hasUnbooked } from './standin/stand-in.js';
import { type StandInPlace, standInDirectory, standInPlace } from './writer/journal-place.js';

/** How often waiting requests are held against their deadlines: late by this much at most. */
const deadlineTickMs = 5;
/** How often lapsed holds are looked for: a hold of seven days does not mind. */
const expiryTickMs = 2000;
const statsTickMs = 1000;
/** How often stand-in approvals are sent to their partitions: what follows one is refused until it is booked. */
const bookingTickMs = 10;
/** How often Postgres is asked what is quarantined: an operator may have settled it meanwhile. */
const quarantineTickMs = 5000;
const warmUpDelayMs = 250;
/** Long enough for a backlog of a second or two; a longer one waits in the journal for the next start. */
const drainTimeoutMs = 5000;

export interface Engine {
  /** Answers what is in flight, settles, and closes everything. */
  stop(): Promise<void>;
}

/** Starts the engine. Throws with one line for a person when it cannot. */
export async function startEngine(
  config: EngineConfig,
  log: Log,
  faults: StorageFaults | null = null,
): Promise<Engine> {
  const times = new StartTimes(0);
  times.ended('load');
  const engine = new RunningEngine(await engineBase(config, log), times, faults);
  try {
    await engine.start();
  } catch (error) {
    await engine.close();
    throw error;
  }
  const { authPort, opsPort, partitionCount, authConnections } = config;
  const connectionsMax = authConnections.max;
  log.info({ authPort, opsPort, partitionCount, connectionsMax, ...times.summary() }, 'engine ready');
  return engine;
}

class RunningEngine implements Engine {
  readonly #base: EngineBase;
  readonly #ownership: Ownership;
  readonly #times: StartTimes;
  readonly #parts: LedgerParts;
  readonly #watch: OpsParts;
  readonly #ports: ReturnType<typeof portParts>;
  readonly #timers: NodeJS.Timeout[] = [];
  #standInPlace: StandInPlace | null = null;

  constructor(base: EngineBase, times: StartTimes, faults: StorageFaults | null) {
    this.#base = base;
    this.#times = times;
    this.#parts = ledgerParts(base, faults, {
      lookedUp: (source, tookMs) => telemetry.lookedUp(source, tookMs),
      batch: (slab, waitedMs, ranMs, answeredMs) => {
        telemetry.batch(slab, waitedMs, ranMs, answeredMs);
        sample.see(slab);
      },
      revoking: (count) => {
        telemetry.revocations += count;
      },
      quarantined: () => void this.#watch.lookAtQuarantine(),
      partitionChanged: () => this.#ownership.partitionChanged(),
      mayApprove: () => this.#ownership.mayApprove,
    });
    const { cluster, hosts } = this.#parts;
    this.#ownership = cluster === null ? new SoleWriter(base, times, hosts) : new Cluster(base, times, cluster);
    this.#watch = opsParts(base, this.#parts, this.#ownership, times);
    const { telemetry, sample } = this.#watch;
    this.#ports = portParts(base, this.#parts, this.#ownership, this.#watch);
  }

  async start(): Promise<void> {
    this.#startTimers();
    await this.#takeLedger();
    await this.#startLedger();
    const { commands, server, links } = this.#ports;
    endYielding();
    await server.listen();
    await links.listen();
    this.#times.ended('listen');
    commands.open();
    this.#watch.health.serving();
    this.#startLooks();
  }

  #startTimers(): void {
    const { log, nowMs, progress } = this.#base;
    const { hosts, ledger, lookups, admission } = this.#parts;
    const lapseClock = new LapseClock(nowMs, () => performance.now(), log);
    const expire = (): void => {
      const now = nowMs();
      ledger.expire(now);
      progress.setRequestsInFlight(admission.recentPeak());
      progress.setWaitingForRoom(lookups.resting);
    };
    const lapse = (): void => {
      for (const host of hosts) {
        host
          .lapse(lapseClock)
          .catch((error: Error) => log.warn({ error: error.message }, 'no look for transactions whose lifetime ended'));
      }
    };
    this.#timers.push(setInterval(expire, deadlineTickMs), setInterval(lapse, expiryTickMs));
  }

  async #takeLedger(): Promise<void> {
    const { log, database } = this.#base;
    await this.#ownership.take();
    const roleWarning = checkDatabaseRole(await database.role());
    if (roleWarning !== '') log.warn(roleWarning);
    this.#times.ended('register');
  }

  async #startLedger(): Promise<void> {
    const { feed, nowMs } = this.#base;
    const { hosts, partitionOfOwner, guard, changeLog, knownCards } = this.#parts;
    this.#ports.server.prepare?.();
    await this.#ports.ops.listen();
    feed.start(hosts, partitionOfOwner, guard, changeLog, nowMs, (entry) => knownCards?.changed(entry));
    await this.#openStandIn();
    await this.#ownership.startPartitions();
    this.#times.ended('partitions');
  }

  async #openStandIn(): Promise<void> {
    const { standIn, shared } = this.#parts;
    if (standIn === null) return;
    const { config, database, holder, log } = this.#base;
    if (standIn.rule !== null || (await hasUnbooked(standInDirectory(config)))) {
      this.#standInPlace = await standInPlace(config, holder, await database.ledgerId(), log);
      await standIn.open(this.#standInPlace.directory);
      await shared?.prepare();
    }
    this.#timers.push(setInterval(() => standIn.bookSome(), bookingTickMs));
  }

  /** Not before the port listens: the first looks compile what a start does without. */
  #startLooks(): void {
    const { database } = this.#base;
    const look = (): void => {
      compileNextCheck();
      this.#watch.lookAtPartitions();
    };
    this.#timers.push(
      setInterval(look, statsTickMs),
      setInterval(() => void this.#watch.lookAtQuarantine(), quarantineTickMs),
      // Nor at once: it would take Postgres from the first messages, which open what they need.
      setTimeout(() => void database.warmUp(), warmUpDelayMs),
    );
  }

  async stop(): Promise<void> {
    const { config, log } = this.#base;
    const { ledger, shipper } = this.#parts;
    const { commands, server, links } = this.#ports;
    log.info('stopping: answering what is in flight');
    this.#watch.health.stopping();
    server.leave();
    const isTakenOver = await this.#ownership.leave();
    const steps = [server.stopAccepting()];
    links.stopAccepting();
    if (!isTakenOver) {
      steps.push(server.refuse());
      links.refuse();
      commands.close();
    }
    await Promise.all(steps);
    await ledger.drain(config.deadlineMs + 1000);
    // Nothing is lost when Postgres is away: the journal keeps the rest for the next start.
    const drained = await shipper.drain(drainTimeoutMs);
    if (!drained) log.warn('the journal keeps what Postgres did not take yet');
    await this.close();
    log.info('stopped');
  }

  /** Also what a start has opened before it failed. */
  async close(): Promise<void> {
    const { database, feed } = this.#base;
    const { hosts, redisCards, shipper } = this.#parts;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#ports.server.close();
    await this.#ports.links.close();
    await this.#ports.ops.close();
    await Promise.all(hosts.map((host) => host.stop()));
    // Behind the last decision: from here on no client waits for this engine.
    await feed.stop();
    redisCards?.close();
    await this.#parts.standIn?.close();
    await this.#parts.shared?.close();
    this.#standInPlace?.release();
    await shipper.stop();
    await this.#ownership.stop();
    await database.close();
    // What the receiver does not take now is lost: a stop does not wait for it.
    await this.#base.traces?.close().catch(() => undefined);
    this.#base.journal.release();
  }
}
