/**
 * This engine among the others of its database (JOURNAL=postgres, sql/migrations/300 and 301): it renews its row, sees
 * the rows of the others, and claims and releases leases of partitions.
 *
 * A lease only decides when an engine takes a partition over. What makes that safe is the position of the journal's
 * frames, and the fence of the partition that a claim raises (core/writer-fence.ts). So an engine whose lease has
 * lapsed goes on until it is fenced. No margin is added to a lease: the clock that stamps it also compares it.
 */
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import type { Log } from '../../platform/log.js';
import { BoundedConnections } from '../../platform/postgres/bounded-connections.js';
import { knownTypes } from '../../platform/postgres/driver-types.js';
import { Listener } from '../../platform/postgres/listener.js';
import { partitionScope, type WriterFence } from '../core/writer-fence.js';
import { Lease, systemInstant } from '../feed/lease.js';
import { fixJournal } from '../writer/settled-position.js';
import { emptyView, type LeaseEntry, type View } from './view.js';

/** Several renewals fit into a lease, and one is sent every second at least: one that fails is made up for. */
const renewalsPerLease = 6;
const renewMsMax = 1000;
const retryMsMax = 250;
/** A renewal that gets no answer is sent again over another connection, while the lease goes on. */
const deadlinesPerLease = 2;
const deadlineMsMin = 250;
const deadlineMsMax = 3000;
/** Longer than a settle statement may run (workers/settle/settle.ts). */
const claimDeadlineMs = 40_000;
const joinDeadlineMs = 5000;
const leaveDeadlineMs = 1000;
const connectTimeoutS = 2;
/** The mover claims so many partitions side by side. */
export const claimsMax = 4;
/** The engine that a partition was released for asks for it in the next moment, or has died. */
export const reservationMs = 2000;
/** Rows of engines that ended are kept so long, for people. */
const keptFor = '1 hour';
/** A lease that ends is noticed so much later: timers are not exact. */
const lapseLookMs = 5;
/** An engine is dead whose session has ended, and that has not renewed for this share of its lease: two renewals. */
const deadShare = 1 / 3;

/** A lease whose holder agreed to give it away. */
export type GivenLease = Pick<WriterFence, 'epoch' | 'holder'>;

export interface Claim extends WriterFence {
  /** The last record that Postgres has settled, since the fence was raised. */
  readonly settledSequence: number;
}

export interface RegistryOptions {
  readonly databaseUrl: string;
  readonly leaseMs: number;
  /** A UUID, drawn at each start. */
  readonly id: string;
  readonly partitionCount: number;
  readonly version: string;
  readonly log: Log;
  /** A partition was claimed: the claim counts when this resolves. Where it rejects, the partition is claimed again. */
  claimed?(partition: number): Promise<void>;
}

/** Where clients, operators and the other engines reach this one. */
export interface EngineAddress {
  readonly authUrl: string;
  readonly opsUrl: string;
  readonly peerHost: string;
  readonly peerPort: number;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #renewMs: number;
  readonly #deadlineMs: number;
  /** Each its own: a renewal must not wait behind a fence, nor end with a look that got no answer. */
  readonly #renewals: BoundedConnections;
  readonly #looks: BoundedConnections;
  readonly #claims: BoundedConnections;
  readonly #listener: Listener;
  readonly #callbacks: ((view: View) => void)[] = [];
  #address: EngineAddress | null = null;
  #lease: Lease | null = null;
  #isLeaving = false;
  #isStopped = false;
  #wasLapsed = false;
  /** Others may have taken its partitions, and it has not seen yet what they took. */
  #isUnseen = false;
  /**
   * The connection of its last renewal is there, and so is its session: no engine declares it dead. Behind a pooler the
   * session may be gone all the same; then its next renewal says so.
   */
  #hasSession = true;
  /** How often others have declared this engine dead, as its last renewal said. */
  #declaredDead = 0;
  #view = emptyView;
  /** Counts what this engine has claimed and released: a view that was read before is out of date. */
  #changes = 0;
  #looking: Promise<void> = Promise.resolve();
  #nextLook: Promise<void> | null = null;
  #renewing: Promise<void> = Promise.resolve();
  #renewTimer: NodeJS.Timeout | undefined;
  #lapseTimer: NodeJS.Timeout | undefined;

  constructor(options: RegistryOptions) {
    const { databaseUrl, leaseMs } = options;
    this.#options = options;
    this.#renewMs = Math.min(renewMsMax, leaseMs / renewalsPerLease);
    this.#deadlineMs = Math.min(deadlineMsMax, Math.max(deadlineMsMin, leaseMs / deadlinesPerLease));
    this.#renewals = new BoundedConnections(databaseUrl, {
      ...connectionOptions('engine lease', 1, 0),
      // Else the driver would end the session each half hour or hour.
      max_lifetime: null,
      onclose: () => this.#sessionEnded(),
    });
    this.#looks = new BoundedConnections(databaseUrl, connectionOptions('engine view', 1, 0));
    this.#claims = new BoundedConnections(databaseUrl, connectionOptions('engine claims', claimsMax, 60));
    this.#listener = new Listener(databaseUrl, 'engine membership');
  }

  get id(): string {
    return this.#options.id;
  }

  /** What the database said last; never older than this engine's own last claim or release. */
  get view(): View {
    return this.#view;
  }

  /** @param callback called with every view, also where nothing has changed */
  onView(callback: (view: View) => void): void {
    this.#callbacks.push(callback);
  }

  /** This engine did not renew its row for so long that others may take its partitions, or may have taken them. */
  get isLapsed(): boolean {
    return this.#lease === null || this.#lease.isStale || this.#isUnseen;
  }

  /** The same, or another engine may declare this one dead before its lease ends: its session is gone. */
  get mayBeReplaced(): boolean {
    return this.isLapsed || !this.#hasSession;
  }

  /**
   * Registers this engine, and renews from then on.
   * @throws one line for a person when the database has another journal or number of partitions, or does not answer
   */
  async join(address: EngineAddress): Promise<void> {
    const { partitionCount } = this.#options;
    const began = systemInstant();
    await this.#looks.run(joinDeadlineMs, (sql) =>
      sql.begin((inside) => fixJournal(inside, partitionCount, 'postgres')),
    );
    await this.#looks.run(
      joinDeadlineMs,
      (sql) => sql`
        delete from engines as e where coalesce(renewed_at, started_at) < clock_timestamp() - ${keptFor}::text::interval
        and not exists (select from partition_leases where holder = e.id)`,
    );
    this.#address = address;
    await this.#renewals.run(joinDeadlineMs, (sql) => this.#renewRow(sql));
    this.#lease = new Lease(this.#options.leaseMs, began, 0);
    this.#noteOldEngine(await this.#looks.run(joinDeadlineMs, readOldHolder));
    await this.look();
    void this.#listen();
    this.#renewIn(this.#renewMs);
  }

  /**
   * Takes a partition that is free, whose holder is not alive, or that its holder has agreed to give away. The holder
   * before is fenced when this resolves, and its statements under way have ended.
   * @param given the lease that its holder gives away; null: none
   * @returns null while the partition is another engine's
   */
  async claim(partition: number, given: GivenLease | null = null): Promise<Claim | null> {
    const { id, partitionCount } = this.#options;
    const { holder = null, epoch: givenEpoch = null } = given ?? {};
    const [row] = await this.#changing(
      claimDeadlineMs,
      (sql) => sql<{ epoch: number; settledSequence: number }[]>`
        select given::float8 as epoch, settled::float8 as "settledSequence" from take_partition(
          ${partition}::integer, ${id}::text::uuid, ${holder}::text::uuid, ${givenEpoch}::bigint,
          ${partitionCount}::integer)`,
    );
    if (row === undefined) return null;
    await this.#options.claimed?.(partition);
    const { epoch, settledSequence } = row;
    this.#noteOwn({ partition, epoch, holder: id, reservedFor: null });
    return { scope: partitionScope(partition), epoch, holder: id, settledSequence };
  }

  /** Has a connection and a plan ready for a claim, which messages wait for. Never rejects. */
  async prepareClaim(partition: number): Promise<void> {
    const { partitionCount } = this.#options;
    // No engine has this id, so nothing is claimed.
    const none = '00000000-0000-0000-0000-000000000000';
    await this.#claims
      .run(
        deadlineMsMax,
        (sql) => sql`
          select given from take_partition(
            ${partition}::integer, ${none}::text::uuid, null, null, ${partitionCount}::integer)`,
      )
      .catch(() => undefined);
  }

  /** The holder of that lease gives it to another engine: messages go there before the database says so. */
  noteGiven(partition: number, { epoch }: Pick<WriterFence, 'epoch'>, to: string): void {
    if (this.#view.leases[partition]?.epoch === epoch) {
      this.#noteOwn({ partition, epoch, holder: null, reservedFor: to });
    }
  }

  /**
   * Frees a partition of which nothing is decided or settled here any more. Does nothing when it is another engine's.
   * @param reservedFor only this engine may take it at first; null: any
   */
  async release(partition: number, { epoch, holder }: WriterFence, reservedFor: string | null): Promise<void> {
    const freed = await this.#changing(
      deadlineMsMax,
      (sql) => sql`
        update partition_leases
        set holder = null, reserved_for = ${reservedFor}::text::uuid,
          reserved_until = clock_timestamp() + ${reservationMs} * interval '1 millisecond'
        where partition = ${partition} and epoch = ${epoch} and holder = ${holder}::text::uuid
        returning 1`,
    );
    if (freed.length > 0) this.#noteOwn({ partition, epoch, holder: null, reservedFor });
  }

  /**
   * From now on the plan gives this engine no partition, or its share again. Where the database is away, a later
   * renewal says so.
   */
  async markLeaving(isLeaving = true): Promise<void> {
    this.#isLeaving = isLeaving;
    await this.#renew();
  }

  /**
   * Ends the lease of an engine that this one cannot reach, where its process has ended. Its session is gone from the
   * server then, and it does not renew from another one. Behind a pooler the session mostly stays, and the lease ends
   * by itself. Never rejects: where the database does not answer, the caller asks again.
   */
  async declareDead(engineId: string): Promise<void> {
    const { id } = this.#options;
    const ended = await this.#looks
      .run(
        deadlineMsMax,
        (sql) => sql`
        update engines as e set renewed_at = null, declared_dead = declared_dead + 1
        where id = ${engineId}::text::uuid
          and renewed_at + lease_ms * ${deadShare}::float8 * interval '1 millisecond' < clock_timestamp()
          and server_started = pg_postmaster_start_time()
          and not exists (select from pg_stat_activity where pid = e.session_pid)
          and exists (
            select from engines as w
            where w.id = ${id}::text::uuid
              and w.renewed_at + w.lease_ms * interval '1 millisecond' > clock_timestamp())
        returning 1`,
      )
      .catch(() => []);
    if (ended.length > 0) void this.look();
  }

  /** Frees what this engine still holds. Only when nothing is decided or settled any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#renewTimer);
    clearTimeout(this.#lapseTimer);
    await this.#renewing;
    if (this.#lease !== null) {
      this.#lease = null;
      const { id } = this.#options;
      await this.#renewals
        .run(
          leaveDeadlineMs,
          (sql) => sql`
          with freed as (update partition_leases set holder = null where holder = ${id}::text::uuid)
          update engines set renewed_at = null where id = ${id}::text::uuid`,
        )
        .catch(() => undefined);
    }
    const connections = [this.#renewals, this.#looks, this.#claims, this.#listener];
    await Promise.all(connections.map((connection) => connection.close()));
  }

  /** Reads a view. Calls while one is being read share the next one. Never rejects. */
  look(): Promise<void> {
    this.#nextLook ??= this.#looking.then(() => {
      this.#nextLook = null;
      this.#looking = this.#lookOnce();
      return this.#looking;
    });
    return this.#nextLook;
  }

  async #lookOnce(): Promise<void> {
    for (;;) {
      const changes = this.#changes;
      let view: View;
      try {
        view = await this.#looks.run(deadlineMsMax, readView);
      } catch {
        // The next renewal looks again.
        return;
      }
      if (this.#isStopped) return;
      // What this engine has claimed or released meanwhile may not be in it.
      if (changes !== this.#changes) continue;
      this.#isUnseen = false;
      this.#lookAtLapse(view);
      this.#publish(view);
      return;
    }
  }

  #publish(view: View): void {
    for (const { id, opsUrl, isLeaving } of this.#view.engines) {
      if (isLeaving || id === this.id || view.engines.some((engine) => engine.id === id)) continue;
      this.#options.log.warn({ engine: id, opsUrl }, 'an engine is gone: others take its partitions over');
    }
    this.#view = view;
    for (const callback of this.#callbacks) callback(view);
  }

  /** The view must not lag behind what this engine knows to have done. */
  #noteOwn(lease: LeaseEntry): void {
    const { engines, leases } = this.#view;
    this.#publish({ engines, leases: leases.with(lease.partition, lease) });
  }

  /** A dead engine says nothing: its lease ends between two renewals of this one. */
  #lookAtLapse({ engines }: View): void {
    clearTimeout(this.#lapseTimer);
    const left = engines.filter(({ id, leaseMsLeft }) => id !== this.id && leaseMsLeft > 0);
    if (left.length === 0) return;
    const soonestMs = Math.min(...left.map(({ leaseMsLeft }) => leaseMsLeft));
    this.#lapseTimer = setTimeout(() => void this.look(), soonestMs + lapseLookMs);
  }

  async #changing<R>(deadlineMs: number, query: (sql: postgres.Sql) => PromiseLike<R>): Promise<R> {
    try {
      return await this.#claims.run(deadlineMs, query);
    } finally {
      this.#changes++;
      void this.look();
    }
  }

  async #listen(): Promise<void> {
    const look = (): void => void this.look();
    while (!this.#isStopped) {
      try {
        await this.#listener.listen('membership', look, look);
        return;
      } catch {
        // Every renewal looks, too.
        await delay(retryMsMax, undefined, { ref: false });
      }
    }
  }

  #renewIn(delayMs: number): void {
    if (!this.#isStopped) this.#renewTimer = setTimeout(() => void this.#renewAndGoOn(), delayMs);
  }

  /**
   * Without a session others may declare this engine dead: it renews at once, if it does not do so already. Where the
   * server turns the new connection away, that ends too: the next attempt comes after the usual pause.
   */
  #sessionEnded(): void {
    if (this.#isStopped || this.#lease === null || !this.#hasSession) return;
    this.#hasSession = false;
    if (this.#renewTimer === undefined) return;
    clearTimeout(this.#renewTimer);
    this.#renewIn(0);
  }

  async #renewAndGoOn(): Promise<void> {
    this.#renewTimer = undefined;
    const isRenewed = await this.#renew();
    if (this.#isStopped) return;
    void this.look();
    this.#renewIn(isRenewed ? this.#renewMs : Math.min(this.#renewMs, retryMsMax));
  }

  #renew(): Promise<boolean> {
    const renewed = this.#renewing.then(() => this.#renewOnce());
    this.#renewing = renewed.then(() => undefined);
    return renewed;
  }

  /** Never rejects. */
  async #renewOnce(): Promise<boolean> {
    if (this.#isStopped) return false;
    // Before the renewal is sent: the database stamps it later.
    const began = systemInstant();
    let failure = '';
    try {
      const [row] = await this.#renewals.run(this.#deadlineMs, (sql) => this.#renewRow(sql));
      const { declaredDead } = row!;
      this.#hasSession = true;
      if (this.#lease?.isStale || declaredDead !== this.#declaredDead) {
        this.#isUnseen = true;
        // A view that is being read now may be older.
        this.#changes++;
      }
      this.#declaredDead = declaredDead;
      this.#lease?.renewed(began, 0);
    } catch (error) {
      failure = (error as Error).message;
    }
    if (this.isLapsed !== this.#wasLapsed) {
      this.#wasLapsed = this.isLapsed;
      const { log } = this.#options;
      if (this.#wasLapsed)
        log.error({ failure }, 'this engine could not renew its lease: others may take its partitions');
      else log.warn('this engine renews its lease again');
    }
    return failure === '';
  }

  /** The row may be gone: an engine that stood still for an hour is taken for ended. */
  #renewRow(sql: postgres.Sql) {
    const { id, version, leaseMs } = this.#options;
    const { authUrl, opsUrl, peerHost, peerPort } = this.#address!;
    return sql<{ declaredDead: number }[]>`
      insert into engines as e
        (id, auth_url, ops_url, peer_host, peer_port, host, pid, version, lease_ms, is_leaving, session_pid,
          server_started)
      values (${id}::text::uuid, ${authUrl}, ${opsUrl}, ${peerHost}, ${peerPort}, ${hostname()}, ${process.pid},
        ${version}, ${leaseMs}, ${this.#isLeaving}, pg_backend_pid(), pg_postmaster_start_time())
      on conflict (id) do update set renewed_at = clock_timestamp(), is_leaving = excluded.is_leaving,
        session_pid = excluded.session_pid, server_started = excluded.server_started,
        steady_since = case
          when e.renewed_at > clock_timestamp() - e.lease_ms * interval '0.5 millisecond' then e.steady_since
          else clock_timestamp() end
      returning declared_dead as "declaredDead"`;
  }

  #noteOldEngine(holder: OldHolder | undefined): void {
    if (holder === undefined) return;
    this.#options.log.warn(
      { ...holder },
      'an engine of an older version has all partitions of this database: waiting for its end',
    );
  }
}

interface OldHolder {
  readonly host: string;
  readonly pid: number;
}

function connectionOptions(name: string, max: number, idleTimeoutS: number) {
  return {
    max,
    idle_timeout: idleTimeoutS,
    connect_timeout: connectTimeoutS,
    onnotice: () => undefined,
    connection: {
      application_name: name,
      statement_timeout: claimDeadlineMs,
      // A claim sees what was committed while it waited.
      default_transaction_isolation: 'read committed' as const,
    },
    ...knownTypes,
  };
}

async function readView(sql: postgres.Sql): Promise<View> {
  // One statement, so that both are of one moment.
  const [row] = await sql<{ view: string }[]>`
    select json_build_object(
      'engines', (
        select coalesce(json_agg(json_build_object('id', id, 'authUrl', auth_url, 'opsUrl', ops_url,
          'peerHost', peer_host, 'peerPort', peer_port, 'isLeaving', is_leaving,
          'leaseMsLeft', round(lease_ms_left)) order by id), '[]')
        from engines_alive),
      'leases', (
        select json_agg(json_build_object('partition', partition, 'epoch', epoch, 'holder', holder,
          'reservedFor', case when reserved_until > clock_timestamp() then reserved_for end) order by partition)
        from partition_leases))::text as view`;
  return JSON.parse(row!.view) as View;
}

async function readOldHolder(sql: postgres.Sql): Promise<OldHolder | undefined> {
  const [row] = await sql<OldHolder[]>`
    select host, pid from writer_leases where scope = 'ledger' and renewed_at is not null`;
  return row;
}
