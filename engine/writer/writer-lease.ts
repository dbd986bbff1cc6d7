/**
 * The right to write the ledger, as a row of Postgres that its holder renews (sql/migrations/160).
 *
 * Two engines never approve at once. The holder approves until its lease has run for `leaseMs` since the moment before
 * the last renewal was sent (feed/lease.ts measures that). The database stamps the renewal later than that moment, and
 * lets another engine take the lease only `leaseMs` and a margin after the stamp. The margin covers clocks that differ
 * in speed.
 *
 * How long. A known card is decided with Postgres away until the feed is stale. So with a local journal the lease lasts
 * as long as that (FEED_STALE_MS_MAX) and never less than LEASE_MS. A successor on another journal waits that long for
 * a holder that did not release. A successor on the same journal does not wait. It has that journal's lock, so the
 * holder that wrote its lease into the lock file has ended.
 *
 * A clock alone is no proof. What the ledger takes is fenced by the epoch (core/writer-fence.ts), and the journal by
 * the operating system's lock (journal-lock.ts).
 */
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import type { Log } from '../../platform/log.js';
import { BoundedConnections } from '../../platform/postgres/bounded-connections.js';
import { knownTypes } from '../../platform/postgres/driver-types.js';
import { ledgerScope as scope, type WriterFence } from '../core/writer-fence.js';
import { Lease, systemInstant } from '../feed/lease.js';

/** Several renewals fit into a lease, and one is sent every second at least: one that fails is made up for. */
const renewalsPerLease = 6;
const renewMsMax = 1000;
const retryMsMax = 250;
const deadlineMsMax = 3000;
/** Longer than a settle statement may run (workers/settle/settle.ts). */
const fenceDeadlineMs = 40_000;
const takeDeadlineMs = 5000;
const releaseDeadlineMs = 1000;
const connectTimeoutS = 2;
/** A renewal must not wait behind the fence. */
const connectionsMax = 2;
const pollMs = 200;
/** A holder that renews while we wait this long is not about to stop. */
const liveWaitMs = 10_000;

export interface WriterLeaseOptions {
  readonly databaseUrl: string;
  readonly leaseMs: number;
  /** A UUID. */
  readonly holder: string;
  readonly authUrl: string;
  readonly opsUrl: string;
  readonly log: Log;
  /** Another engine has the ledger: nothing may be approved or written any more. */
  lost(why: string): void;
}

/** What the lock of a journal proves (journal-lock.ts). */
export interface JournalProof {
  readonly place: string;
  readonly earlierLeases: readonly string[];
}

interface HolderRow {
  readonly host: string;
  readonly pid: number;
  readonly authUrl: string;
  readonly renewedAt: string;
  readonly waitMs: number;
}

export class WriterLease {
  readonly #options: WriterLeaseOptions;
  readonly #renewMs: number;
  readonly #deadlineMs: number;
  readonly #connections: BoundedConnections;
  #lease: Lease | null = null;
  #epoch = 0;
  #isStopped = false;
  #wasLapsed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WriterLeaseOptions) {
    this.#options = options;
    this.#renewMs = Math.min(renewMsMax, options.leaseMs / renewalsPerLease);
    this.#deadlineMs = Math.min(deadlineMsMax, Math.max(retryMsMax, options.leaseMs / 3));
    this.#connections = new BoundedConnections(options.databaseUrl, {
      max: connectionsMax,
      idle_timeout: 0,
      connect_timeout: connectTimeoutS,
      onnotice: () => undefined,
      connection: { application_name: 'engine lease', statement_timeout: fenceDeadlineMs },
      ...knownTypes,
    });
  }

  /**
   * Takes the lease, waiting for the holder's time to pass, and renews it from then on.
   * @throws one line for a person when another engine keeps renewing it, or Postgres does not answer
   */
  async take(proof: JournalProof): Promise<void> {
    const beganMs = performance.now();
    let seen: HolderRow | null = null;
    for (;;) {
      const began = systemInstant();
      this.#epoch = await this.#connections.run(takeDeadlineMs, (sql) => takeRow(sql, this.#options, proof));
      if (this.#epoch > 0) {
        this.#lease = new Lease(this.#options.leaseMs, began, 0);
        this.#renewIn(this.#renewMs);
        return;
      }
      const holder = await this.#connections.run(takeDeadlineMs, readHolder);
      if (holder !== null) {
        if (seen === null) {
          const { host, pid, waitMs } = holder;
          this.#options.log.warn(
            { host, pid, waitMs },
            'another engine has the lease of this database: waiting for its end',
          );
        }
        seen ??= holder;
        if (holder.renewedAt !== seen.renewedAt && performance.now() > beganMs + liveWaitMs) {
          throw new Error(
            `another engine already runs on this database: process ${holder.pid} on ${holder.host} ` +
              `(${holder.authUrl}); stop it, or give this one a DATABASE_URL and DATA_DIR of its own`,
          );
        }
      }
      await delay(pollMs);
    }
  }

  /**
   * Excludes the engine before this one from the ledger; its statements under way end first. Nothing may be read for a
   * start before this has returned.
   */
  async raiseFence(): Promise<void> {
    const { holder } = this.#options;
    const rows = await this.#connections.run(
      fenceDeadlineMs,
      (sql) => sql`
        insert into writer_epochs as e (scope, epoch, holder) values (${scope}, ${this.#epoch}, ${holder}::text::uuid)
        on conflict (scope) do update set epoch = excluded.epoch, holder = excluded.holder
        where e.epoch < excluded.epoch
        returning 1`,
    );
    if (rows.length === 0)
      throw new Error('another engine took the lease of this database while this one was starting');
  }

  get fence(): WriterFence {
    if (this.#epoch === 0) throw new Error('the lease is not taken');
    return { scope, epoch: this.#epoch, holder: this.#options.holder };
  }

  /** Nothing may be approved: another engine may have the ledger by now. Asked once a batch. */
  get isLapsed(): boolean {
    return this.#lease === null || this.#lease.isStale;
  }

  /** How long the lease goes on without another renewal; negative once it has lapsed. */
  get msLeft(): number {
    return this.#lease === null ? 0 : this.#options.leaseMs - this.#lease.ageMs;
  }

  /** Gives the lease back, so that a successor need not wait. Only when nothing can be approved or settled any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    if (this.#lease !== null) {
      this.#lease = null;
      const { holder } = this.#options;
      await this.#connections
        .run(
          releaseDeadlineMs,
          (sql) => sql`
          update writer_leases set renewed_at = null
          where scope = ${scope} and holder = ${holder}::text::uuid and epoch = ${this.#epoch}`,
        )
        .catch(() => undefined);
    }
    await this.#connections.close();
  }

  #renewIn(delayMs: number): void {
    if (!this.#isStopped) this.#timer = setTimeout(() => void this.#renew(), delayMs);
  }

  async #renew(): Promise<void> {
    const { holder } = this.#options;
    // Before the renewal is sent: the database stamps it later.
    const began = systemInstant();
    let failure = '';
    try {
      const rows = await this.#connections.run(
        this.#deadlineMs,
        (sql) => sql`
          update writer_leases set renewed_at = clock_timestamp()
          where scope = ${scope} and holder = ${holder}::text::uuid and epoch = ${this.#epoch}
          returning 1`,
      );
      if (this.#isStopped) return;
      if (rows.length === 0) {
        await this.#explainLoss();
        return;
      }
      this.#lease!.renewed(began, 0);
    } catch (error) {
      failure = (error as Error).message;
    }
    if (this.#isStopped) return;
    this.#noteLapse(failure);
    this.#renewIn(failure === '' ? this.#renewMs : Math.min(this.#renewMs, retryMsMax));
  }

  #noteLapse(failure: string): void {
    if (this.isLapsed === this.#wasLapsed) return;
    this.#wasLapsed = this.isLapsed;
    const { log } = this.#options;
    if (this.#wasLapsed)
      log.error({ failure }, 'the lease of the ledger has lapsed: approving nothing until it is renewed');
    else log.warn('the lease of the ledger is renewed: approving again');
  }

  async #explainLoss(): Promise<void> {
    const holder = await this.#connections.run(this.#deadlineMs, readHolder).catch(() => null);
    this.#options.lost(
      holder === null
        ? 'its lease is gone from the database'
        : `process ${holder.pid} on ${holder.host} (${holder.authUrl}) has taken it`,
    );
  }
}

/** @returns the new epoch; 0 while another engine's lease counts */
async function takeRow(sql: postgres.Sql, options: WriterLeaseOptions, proof: JournalProof): Promise<number> {
  const { holder, leaseMs, authUrl, opsUrl } = options;
  const { place, earlierLeases } = proof;
  const [row] = await sql<{ epoch: number }[]>`
    insert into writer_leases as l (scope, holder, epoch, lease_ms, renewed_at, journal, host, pid, auth_url, ops_url)
    values (${scope}, ${holder}::text::uuid, 1, ${leaseMs}, clock_timestamp(), ${place}, ${hostname()}, ${process.pid},
      ${authUrl}, ${opsUrl})
    on conflict (scope) do update set holder = excluded.holder, epoch = l.epoch + 1, lease_ms = excluded.lease_ms,
      renewed_at = excluded.renewed_at, taken_at = excluded.renewed_at, journal = excluded.journal,
      host = excluded.host,
      pid = excluded.pid, auth_url = excluded.auth_url, ops_url = excluded.ops_url
    where l.renewed_at is null
      or clock_timestamp() > l.renewed_at + l.lease_ms * 1.05 * interval '1 millisecond' + interval '1 second'
      -- This journal's lock is ours, and the holder had it: the holder is gone.
      or (l.journal <> '' and l.journal = excluded.journal
      and l.holder::text = any(${earlierLeases as string[]}::text[]))
    returning epoch::float8 as epoch`;
  return row?.epoch ?? 0;
}

/** Null while there is no holder. */
async function readHolder(sql: postgres.Sql): Promise<HolderRow | null> {
  const [row] = await sql<HolderRow[]>`
    select host, pid, auth_url as "authUrl", renewed_at::text as "renewedAt",
      greatest(0, round(extract(epoch from renewed_at - clock_timestamp()) * 1000 + lease_ms * 1.05 + 1000))::float8
        as "waitMs"
    from writer_leases where scope = ${scope} and renewed_at is not null`;
  return row ?? null;
}
