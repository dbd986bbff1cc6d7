/** The account API as one object: builds every part, listens, and stops in order. */

import { randomUUID } from 'node:crypto';
import type { Log } from '../platform/log.js';
import { PanKeys } from '../platform/masking/hidden-ids.js';
import { OperationTimes } from '../platform/metrics/operation-times.js';
import { ConnectionGate, measureConnections } from '../platform/process/connection-gate.js';
import { diskOf } from '../platform/process/disk.js';
import { Seals } from '../platform/redis/seal.js';
import { openTraces } from '../platform/tracing/open-traces.js';
import { measureTraces, type Traces } from '../platform/tracing/traces.js';
import { Access } from './auth/access.js';
import { Actors } from './auth/actors.js';
import { FailedSignIns } from './auth/failed-sign-ins.js';
import { LocalFailureCounter, RedisFailureCounter } from './auth/failure-counters.js';
import { SignInFailures, windowS } from './auth/failures.js';
import { Invitations } from './auth/invitations.js';
import { OperatorSignIn } from './auth/operator-sign-in.js';
import { PageSessions } from './auth/page-sessions.js';
import { PasswordChanges } from './auth/password-changes.js';
import { Passwords } from './auth/passwords.js';
import { SignIn } from './auth/sign-in.js';
import { Tokens } from './auth/tokens.js';
import { ApprovedFundings } from './background/approved-fundings.js';
import { AuditSealer } from './background/audit-sealer.js';
import { Housekeeping } from './background/housekeeping.js';
import { LedgerWatch } from './background/ledger-watch.js';
import { OpenEntries } from './background/open-entries.js';
import { Watches } from './background/watches.js';
import type { ApiConfig } from './config.js';
import { createDataServices, type DataServices } from './data-services.js';
import { type ChangeFeed, OutboxChangeFeed } from './feed/change-feed.js';
import { RateLimiter } from './http/rate-limits.js';
import { Telemetry } from './http/telemetry.js';
import { TenantGate } from './http/tenant-bounds.js';
import { LocalGenerations, RedisGenerations } from './http/tenant-generations.js';
import { ImagePool } from './images/image-pool.js';
import { Live } from './live/live.js';
import { LogMailer } from './mail/log-mailer.js';
import type { Mailer } from './mail/mailer.js';
import { Mails } from './mail/mails.js';
import { SmtpMailer } from './mail/smtp-mailer.js';
import { Health } from './ops/health.js';
import { OpsServer } from './ops/ops.js';
import { listenConsole } from './pages/console-host.js';
import { portInUse } from './port-in-use.js';
import { createServer } from './server.js';
import type { Services } from './services.js';
import { ApiKeyStore } from './stores/api-keys.js';
import { AuditTrail } from './stores/audit.js';
import { BooksStateStore } from './stores/books-state.js';
import { CompanyStore } from './stores/companies.js';
import { CustomerStore } from './stores/customers.js';
import { FundingStore } from './stores/fundings.js';
import { IdempotencyStore } from './stores/idempotency.js';
import { ImageStore } from './stores/images.js';
import { InvitationStore } from './stores/invitations.js';
import { OperatorStore } from './stores/operators.js';
import { PasswordStore } from './stores/passwords.js';
import { Database } from './stores/postgres.js';
import { Program } from './stores/program.js';
import { RedisConnection } from './stores/redis.js';
import { RegistrationStore } from './stores/registration.js';
import { SessionStore } from './stores/sessions.js';
import { UserStore } from './stores/users.js';

export interface Api {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  /** Where its ops port listens. */
  readonly opsUrl: string;
  readonly services: Services;
  /** Answers what was accepted, then closes. */
  stop(): Promise<void>;
}

export async function startApi(config: ApiConfig, log: Log): Promise<Api> {
  const traces = await openTraces(config.traces, 'api', randomUUID());
  const services = createServices(config, log, traces);
  const { database, redis, health, housekeeping, telemetry } = services;
  const ops = new OpsServer({
    host: config.opsHost,
    port: config.opsPort,
    gate: services.opsGate,
    health,
    scrape: () => telemetry.scrape(),
  });
  await database.start();
  try {
    await services.program.check();
    await sayWhereMailsGo(services);
    const app = await createServer(services);
    await services.startData();
    const opsUrl = await ops.listen();
    const url = await app.listen({ host: config.host, port: config.port }).catch((error: Error) => {
      throw portInUse(error, config.host, config.port, 'API_PORT');
    });
    const { consoleHost } = config;
    const closeConsole = consoleHost === null ? null : await listenConsole(app, consoleHost, services.gate);
    housekeeping.start();
    services.sealer.start();
    services.watches.start();
    services.ledgerWatch.start();
    services.live.start();
    health.serving();
    return {
      url,
      opsUrl,
      services,
      stop: async () => {
        health.stopping();
        closeConsole?.();
        await app.close();
        services.imagePool.stop();
        await ops.close();
        await services.live.stop();
        await housekeeping.stop();
        await services.passwordChanges.stop();
        await services.mailer.stop();
        await services.failedSignIns.flush();
        await services.sealer.stop();
        await services.watches.stop();
        await services.ledgerWatch.stop();
        await services.stopData();
        redis?.close();
        await database.close();
        // What the receiver does not take now is lost: a stop does not wait for it.
        await traces?.close().catch(() => undefined);
      },
    };
  } catch (error) {
    await ops.close();
    await services.watches.stop();
    await services.ledgerWatch.stop();
    await services.stopData();
    redis?.close();
    await database.close();
    throw error;
  }
}

/** A deployment without SMTP learns it at the start, not from the first person who waits for a mail. */
async function sayWhereMailsGo({ config, mailer, log }: Services): Promise<void> {
  if (config.smtp !== null) return;
  try {
    await mailer.check();
    log.info('SMTP_URL is not set: mails of the demo go to this log');
  } catch {
    log.warn('SMTP_URL is not set: invitations and new passwords are refused, because no mail can be sent');
  }
}

/** All parts of the API, not connected to anything yet. */
export function createServices(config: ApiConfig, log: Log, traces: Traces | null = null): Services {
  const database = new Database(config.postgres, log);
  const redis = config.redisUrl === null ? null : new RedisConnection(config.redisUrl, log);
  const telemetry = new Telemetry();
  const gate = new ConnectionGate('api', config.connections, log);
  const opsGate = new ConnectionGate('api-ops', config.opsConnections, log);
  measureConnections(telemetry, [gate, opsGate]);
  const health = new Health();
  const seals = new Seals(config.feedKeys, (fields, message) => log.warn(fields, message));
  const feed = new OutboxChangeFeed({
    databaseUrl: config.postgres.directUrl,
    redisUrl: config.redisUrl ?? '',
    seals,
    log,
  });
  watchFeed(feed, telemetry, health);
  const data = createDataServices({ config, log, database, redis, telemetry, health, feed, seals });
  const stores = createStores(config, database);
  const program = new Program(database, config.selfFunding, log);
  const people = createSignIn({ config, log, redis, data, stores, program });
  const rates = new RateLimiter({ limits: config.rateLimits, callers: people.actors, redis });
  const tenants = new TenantGate(config.tenantBounds);
  const generations = redis === null ? new LocalGenerations(data.invalidations) : new RedisGenerations(redis);
  const sealer = new AuditSealer(stores.trail, log);
  const imagePool = new ImagePool(log);
  watchTrail(sealer, telemetry);
  const watches = new Watches(config, database, log);
  watches.measure(telemetry, health);
  watchImages(imagePool, telemetry);
  const ledgerWatch = new LedgerWatch({ store: new BooksStateStore(database), database, watches });
  measureTraces(telemetry, traces);
  const live = new Live({ ...config, surroundings: ledgerWatch });
  watchLive(live, telemetry);
  watchDatabase(database, telemetry, health);
  watchDisk(telemetry);
  watchRedis(redis, telemetry, health);
  watchSignIn(people.passwords, people.failures, telemetry);
  watchRefusals(seals, rates, tenants, telemetry);
  watchMail(people.mailer, config.smtp !== null, telemetry, health);
  return {
    ...data,
    ...stores,
    ...people,
    config,
    panKeys: new PanKeys(config.panKeys),
    log,
    gate,
    opsGate,
    database,
    redis,
    rates,
    tenants,
    program,
    sealer,
    watches,
    ledgerWatch,
    traces,
    imagePool,
    housekeeping: createHousekeeping(stores, data, log),
    generations,
    live,
    telemetry,
    health,
  };
}

type Stores = ReturnType<typeof createStores>;

function createStores(config: ApiConfig, database: Database) {
  return {
    users: new UserStore(database),
    companies: new CompanyStore(database),
    customers: new CustomerStore(database),
    fundings: new FundingStore(database),
    images: new ImageStore(database),
    idempotency: new IdempotencyStore(database),
    sessions: new SessionStore(database, config.refreshTokenDays),
    registrations: new RegistrationStore(database),
    invitationStore: new InvitationStore(database, config.usersPerCompanyMax),
    passwordStore: new PasswordStore(database),
    operators: new OperatorStore(database),
    apiKeys: new ApiKeyStore(database, config.selfFunding),
    trail: new AuditTrail(database, new PanKeys(config.panKeys)),
  };
}

interface SignInParts {
  readonly config: ApiConfig;
  readonly log: Log;
  readonly redis: RedisConnection | null;
  readonly data: DataServices;
  readonly stores: Stores;
  readonly program: Program;
}

/** What knows who calls: passwords, tokens, sessions, and the mails that give a new password. */
function createSignIn({ config, log, redis, data, stores, program }: SignInParts) {
  const { users, sessions, registrations, invitationStore, passwordStore, operators, apiKeys, trail } = stores;
  const tokens = new Tokens(config.jwtSecrets, config.accessTokenS);
  const access = new Access(tokens, users, config.accessTokenS);
  const passwords = new Passwords();
  const failures = new SignInFailures(
    redis === null ? new LocalFailureCounter(windowS) : new RedisFailureCounter(redis, windowS),
    config.registrationsMax,
  );
  const failed = new FailedSignIns(trail, log);
  const guesses = { passwords, failures, failed };
  const announce = data.invalidations;
  const signIn = new SignIn({ users, sessions, registrations, ...guesses, tokens, access, announce, log });
  data.invalidations.onAccess({
    sessionEnded: (sessionId) => access.endSession(sessionId),
    userChanged: (userId) => access.forget(userId),
  });
  const mailer = config.smtp === null ? new LogMailer(log, () => program.isDemo()) : new SmtpMailer(config.smtp, log);
  const mails = new Mails(config.publicUrl);
  const mailed = { failures, passwords, signIn, mailer, mails };
  return {
    tokens,
    access,
    actors: new Actors(access, operators, apiKeys),
    pageSessions: new PageSessions(config.jwtSecrets),
    passwords,
    failures,
    failedSignIns: failed,
    signIn,
    operatorSignIn: new OperatorSignIn(operators, passwords, failures, failed),
    mailer,
    invitations: new Invitations({ invitations: invitationStore, ...mailed }),
    passwordChanges: new PasswordChanges({ store: passwordStore, users, sessions, ...mailed, failed, log }),
  };
}

function createHousekeeping(stores: Stores, data: DataServices, log: Log): Housekeeping {
  const housekeeping = new Housekeeping(log);
  const openEntries = new OpenEntries({ ...stores, ...data, log });
  const approvedFundings = new ApprovedFundings({ ...stores, ...data, log });
  housekeeping.add('audit trail', () => stores.trail.upkeep());
  housekeeping.add('sessions', () => stores.sessions.sweep());
  housekeeping.add('operator sessions', () => stores.operators.sweep());
  housekeeping.add('fundings', () => stores.fundings.sweep());
  housekeeping.add('invitations', () => stores.invitationStore.sweep());
  housekeeping.add('password links', () => stores.passwordStore.sweep());
  housekeeping.add('images', () => stores.images.sweep());
  housekeeping.add('idempotency keys', () => stores.idempotency.sweep());
  // Last: they may wait for an engine.
  housekeeping.add('approved fundings', () => approvedFundings.sweep());
  housekeeping.add('open entries of the audit trail', () => openEntries.sweep());
  return housekeeping;
}

function watchRefusals(seals: Seals, rates: RateLimiter, tenants: TenantGate, telemetry: Telemetry): void {
  const forged = 'Values and messages in Redis that no process of ours wrote';
  telemetry.counter('redis_refused_total', forged, [], (counter) => counter.inc(seals.refused));
  const refused = 'Requests answered 429, by the limit that refused them';
  telemetry.counter('requests_refused_total', refused, ['limit'], (counter) => {
    counter.inc({ limit: 'rate' }, rates.refused);
    counter.inc({ limit: 'at once' }, tenants.refused);
  });
}

function watchDatabase(database: Database, telemetry: Telemetry, health: Health): void {
  health.add('database', () => {
    const { isUp, detail } = database.health();
    return { status: isUp ? 'healthy' : 'unhealthy', detail };
  });
  health.addBlocker(() => (database.health().isUp ? '' : 'Postgres does not answer'));
  const counters: [string, string, () => number][] = [
    ['postgres_queries_total', 'Queries answered', () => database.queries],
    ['postgres_slow_queries_total', 'Queries slower than SLOW_QUERY_MS', () => database.slowQueries],
    ['postgres_failed_queries_total', 'Queries that failed', () => database.failedQueries],
  ];
  for (const [name, help, value] of counters) telemetry.counter(name, help, [], (counter) => counter.inc(value()));
  telemetry.gauge('postgres_connections_busy', 'Connections with a query', [], (gauge) => gauge.set(database.active));
  telemetry.gauge('postgres_connections_max', 'Connections of the pool', [], (gauge) => gauge.set(database.max));
  database.times.measure(telemetry, 'postgres_query_seconds', 'Time of a query, by use', 'use');
  telemetry.gauge('postgres_queries_waiting', 'Queries that wait for a connection', [], (gauge) =>
    gauge.set(database.waiting),
  );
}

function watchDisk(telemetry: Telemetry): void {
  telemetry.gauge('disk_free_bytes', 'Free bytes on the disk where the process runs', [], async (gauge) =>
    gauge.set((await diskOf(process.cwd()))?.freeBytes ?? Number.NaN),
  );
  telemetry.gauge('disk_bytes', 'Size of that disk', [], async (gauge) =>
    gauge.set((await diskOf(process.cwd()))?.bytes ?? Number.NaN),
  );
}

function watchLive({ streams }: Live, telemetry: Telemetry): void {
  telemetry.gauge('live_streams', 'Clients that read the live stream', [], (gauge) => gauge.set(streams.count));
  telemetry.counter('live_streams_opened_total', 'Live streams that clients have opened', [], (counter) =>
    counter.inc(streams.opened),
  );
  telemetry.counter('live_streams_refused_total', 'Live streams refused because too many were open', [], (counter) =>
    counter.inc(streams.refused),
  );
}

function watchTrail(sealer: AuditSealer, telemetry: Telemetry): void {
  telemetry.counter('audit_sealed_total', 'Entries of the audit trail sealed by this process', [], (counter) =>
    counter.inc(sealer.sealed),
  );
  telemetry.counter('audit_seal_failures_total', 'Times that sealing failed', [], (counter) =>
    counter.inc(sealer.failures),
  );
}

function watchImages(pool: ImagePool, telemetry: Telemetry): void {
  const counters: [string, string, () => number][] = [
    ['images_converted_total', 'Uploaded images of which files were made', () => pool.converted],
    ['images_refused_total', 'Uploads that are no image, or one that cannot be used', () => pool.refused],
    ['images_overrun_total', 'Uploads answered 503 because too many were under way', () => pool.overruns],
  ];
  for (const [name, help, value] of counters) telemetry.counter(name, help, [], (counter) => counter.inc(value()));
  telemetry.gauge('images_under_way', 'Uploads under way', [], (gauge) => gauge.set(pool.underWay));
}

function watchRedis(redis: RedisConnection | null, telemetry: Telemetry, health: Health): void {
  health.add('redis', async () => {
    if (redis === null) return { status: 'disabled', detail: 'REDIS_URL is not set' };
    const { isUp, detail } = await redis.health();
    return { status: isUp ? 'healthy' : 'unhealthy', detail };
  });
  const times = redis?.times ?? new OperationTimes();
  times.measure(telemetry, 'redis_command_seconds', 'Time of a command, or of what is sent together', null);
  telemetry.counter('redis_failures_total', 'Commands that failed or were late', [], (counter) =>
    counter.inc(redis?.failures ?? 0),
  );
}

function watchMail(mailer: Mailer, isConfigured: boolean, telemetry: Telemetry, health: Health): void {
  health.add('mail', async () => {
    if (isConfigured) return { status: 'healthy', detail: `${mailer.counts.waiting} mails wait` };
    const isDemo = await mailer.check().then(
      () => true,
      () => false,
    );
    const detail = isDemo
      ? 'SMTP_URL is not set: mails of the demo go to the log'
      : 'SMTP_URL is not set: invitations and new passwords are refused';
    return { status: 'disabled', detail };
  });
  const counters: [string, string, () => number][] = [
    ['mails_sent_total', 'Mails that an SMTP server took, or the log of a demo', () => mailer.counts.sent],
    ['mails_failed_total', 'Mails that were given up', () => mailer.counts.failed],
  ];
  for (const [name, help, value] of counters) telemetry.counter(name, help, [], (counter) => counter.inc(value()));
  telemetry.gauge('mails_waiting', 'Mails that are not sent yet', [], (gauge) => gauge.set(mailer.counts.waiting));
}

function watchFeed(feed: ChangeFeed, telemetry: Telemetry, health: Health): void {
  health.add('feed', () => {
    const { isUp, detail } = feed.health();
    return { status: isUp ? 'healthy' : 'unhealthy', detail };
  });
  telemetry.gauge('feed_engines', 'Engines that may approve, at the last look', [], (gauge) =>
    gauge.set(feed.health().engines.length),
  );
  feed.hops.measure(
    telemetry,
    'feed_wait_seconds',
    'Time that a request waited for its change: until its place in the feed was known, and from then until it was in ' +
      'force',
    'hop',
  );
  telemetry.gauge('feed_relay_leader', '1 while this process relays changes to the engines, else 0', [], (gauge) =>
    gauge.set(feed.health().isLeader ? 1 : 0),
  );
}

function watchSignIn(passwords: Passwords, failures: SignInFailures, telemetry: Telemetry): void {
  const counters: [string, string, () => number][] = [
    ['password_hashes_total', 'argon2 hashes computed', () => passwords.hashes],
    ['password_hashes_refused_total', 'Sign-ins answered 503 because too many waited', () => passwords.refused],
    ['sign_in_refused_total', 'Tries answered 429 after too many failures', () => failures.refused],
  ];
  for (const [name, help, value] of counters) telemetry.counter(name, help, [], (counter) => counter.inc(value()));
  telemetry.gauge('password_hashes_waiting', 'Sign-ins that wait for a hash', [], (gauge) =>
    gauge.set(passwords.waiting),
  );
}
