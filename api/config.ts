/** The environment of the account API, read once into a frozen, typed configuration. */

import { type CardProtocol, cardProtocols } from '../engine/core/vocabulary.js';
import { cardLifetimeS, userLifetimeS } from '../platform/cache/keys.js';
import { ConfigError, logLevels, Variables } from '../platform/config/variables.js';
import { panKeysOf } from '../platform/masking/hidden-ids.js';
import { type ConnectionBounds, connectionBounds, descriptorLimit } from '../platform/process/descriptors.js';
import { feedKeysOf } from '../platform/redis/seal.js';
import { readTraceSettings, type TraceSettings } from '../platform/tracing/open-traces.js';
import type { RateLimits } from './http/rate-limits.js';
import type { RequestLogSettings } from './http/request-log.js';
import type { TenantBounds } from './http/tenant-bounds.js';
import type { SmtpConfig } from './mail/smtp-mailer.js';
import { type CardCaps, cardCapsDefault } from './stores/card-caps.js';

export interface ApiConfig {
  readonly host: string;
  readonly port: number;
  readonly connections: ConnectionBounds;
  /** Health and metrics. */
  readonly opsHost: string;
  /** 0: any free one. */
  /** Where the console is served, and nowhere else; null: beside the app. */
  readonly consoleHost: ConsoleAddress | null;
  /** Where browsers load the files of the pages: an origin without a slash at the end; '': from this API. */
  readonly assetOrigin: string;
  readonly opsPort: number;
  readonly opsConnections: ConnectionBounds;
  readonly logLevel: string;
  /** Addresses and networks of proxies whose X-Forwarded-For is believed; null: none is. */
  readonly trustedProxies: string | null;
  /** Origins whose pages may call this API from a browser. */
  readonly corsOrigins: readonly string[];
  readonly engineUrl: string;
  readonly engineToken: string;
  /** Newest first: the first one signs, all of them verify. */
  readonly jwtSecrets: readonly string[];
  /** Keys of the hashes that stand for identifiers with card numbers, newest first. The engines have the same. */
  readonly panKeys: readonly string[];
  /** Keys of the codes of what goes through Redis, newest first. The engines have the same. */
  readonly feedKeys: readonly string[];
  readonly accessTokenS: number;
  readonly refreshTokenDays: number;
  readonly postgres: PostgresConfig;
  readonly mongodb: MongodbConfig | null;
  readonly redisUrl: string | null;
  /** Null: no mail leaves this API, and a demo writes its mails to the log. */
  readonly smtp: SmtpConfig | null;
  /** Where people reach this API, for the links in mails; without a slash at the end. */
  readonly publicUrl: string;
  readonly cache: CacheConfig;
  readonly requestLog: RequestLogSettings;
  /** A response slower than this is an alert in the log. */
  readonly slowResponseMs: number;
  readonly traces: TraceSettings;
  readonly bodyBytesMax: number;
  /** Whether customers may fund their own accounts; true is refused unless the database is a demo's. */
  readonly selfFunding: boolean;
  /** An operator's deposit or withdrawal above it waits for a second operator, in minor units. */
  readonly fundingApprovalMinor: number;
  /** Customers that one network may register in 15 minutes. */
  readonly registrationsMax: number;
  readonly rateLimits: RateLimits;
  readonly tenantBounds: TenantBounds;
  readonly cardCaps: CardCaps;
  readonly usersPerCompanyMax: number;
  /** By which protocols questions of the cards come: limits may ask only for what all of them carry. */
  readonly cardProtocols: readonly CardProtocol[];
  /** When everything waits this long for its turn, new requests are refused: better few answers in time than none. */
  readonly eventLoopDelayMs: number;
}

export interface ConsoleAddress {
  readonly host: string;
  readonly port: number;
}

export interface PostgresConfig {
  readonly url: string;
  /** For what needs a session of its own, past any pooler: LISTEN, and the lock of the relay. */
  readonly directUrl: string;
  readonly poolMax: number;
  readonly idleS: number;
  readonly connectS: number;
  /** Longest wait for a connection where the caller sets no deadline of its own; requests do. */
  readonly acquireMs: number;
  /** The server's own limit on one statement. */
  readonly statementMs: number;
  /** A query slower than this is logged, its parameters masked, and counted. */
  readonly slowQueryMs: number;
}

export interface MongodbConfig {
  readonly uri: string;
  readonly poolMax: number;
  readonly poolMin: number;
  readonly idleMs: number;
  readonly serverSelectionMs: number;
  readonly socketMs: number;
}

/** Lifetimes in seconds: in Redis by kind, in this process for all kinds. */
export interface CacheConfig {
  readonly userS: number;
  readonly cardS: number;
  readonly transactionsS: number;
  readonly localS: number;
}

const port = { min: 1, max: 65_535 };
const milliseconds = { min: 1, max: 600_000 };
const seconds = { min: 1, max: 86_400 };
const connections = { min: 1, max: 1000 };
const bound = { min: 1, max: 100_000_000 };
/** Scheme, host and port, as a browser sends them: `https://app.example.com`. */
const origin = 'https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?';
const origins = new RegExp(`^${origin}(,${origin})*$`);
const networks = /^[0-9a-fA-F.:/]+(,[0-9a-fA-F.:/]+)*$/;
/** Optional: '' where it is not set. */
const fallback = '';

/** A shorter secret can be guessed from one token, at leisure. */
const secretBytesMin = 32;

/** Descriptors of the process itself, of the feed, of Redis, of the engine's ops port and of files on their way out. */
const ownDescriptors = 256;

/**
 * Reads the configuration of the API. Throws ConfigError with one line for a person.
 * @param openFilesMax file descriptors that this process may have
 * @param variables reads the environment; docs/configuration.md comes from one that notes each variable's rule
 */
export function readApiConfig(
  environment: Readonly<Record<string, string | undefined>>,
  openFilesMax = descriptorLimit(),
  variables = new Variables(environment),
): ApiConfig {
  const host = variables.text('HOST', { fallback: '127.0.0.1' });
  const apiPort = variables.integer('API_PORT', { ...port, fallback: 3000 });
  const publicUrl = variables.text('PUBLIC_URL', { fallback, lengthMax: 500, pattern: /^https?:\/\/[^\s?#]+$/ });
  const trustedProxies = variables.text('TRUSTED_PROXIES', { fallback, pattern: networks }) || null;
  const corsOrigins = variables.text('CORS_ORIGINS', { fallback, pattern: origins });
  const engineUrl = variables.text('ENGINE_URL', {
    fallback: 'http://127.0.0.1:8081',
    pattern: /^https?:\/\/[^/]+\/?$/,
  });
  const postgres = readPostgres(variables);
  const mongodb = readMongodb(variables);
  const poolsMax = postgres.poolMax + 2 * mongodb.poolMax;
  return Object.freeze({
    host,
    port: apiPort,
    consoleHost: readConsoleHost(variables, apiPort),
    assetOrigin: variables.text('ASSET_ORIGIN', { fallback, pattern: new RegExp(`^${origin}$`) }),
    ...readConnections(variables, openFilesMax, poolsMax, trustedProxies !== null),
    opsHost: variables.text('OPS_HOST', { fallback: '127.0.0.1' }),
    // 0: any free one.
    opsPort: variables.integer('API_OPS_PORT', { ...port, min: 0, fallback: 3001 }),
    logLevel: readLogLevel(variables),
    trustedProxies,
    corsOrigins: Object.freeze(corsOrigins === '' ? [] : corsOrigins.split(',')),
    engineUrl: engineUrl.replace(/\/$/, ''),
    ...readSecrets(variables),
    postgres,
    mongodb: mongodb.uri === '' ? null : mongodb,
    redisUrl: variables.text('REDIS_URL', { fallback, pattern: /^rediss?(\+(sentinel|cluster))?:\/\// }) || null,
    smtp: readSmtp(variables, publicUrl),
    publicUrl: (publicUrl || `http://${host}:${apiPort}`).replace(/\/+$/, ''),
    cache: readCache(variables),
    requestLog: Object.freeze({
      level: variables.oneOf('REQUEST_LOG_LEVEL', logLevels),
      sample: variables.share('REQUEST_LOG_SAMPLE', 1),
    }),
    slowResponseMs: variables.integer('SLOW_RESPONSE_MS', { ...milliseconds, fallback: 1000 }),
    traces: readTraceSettings(variables),
    bodyBytesMax: variables.integer('BODY_BYTES_MAX', { min: 1024, max: 1_048_576, fallback: 65_536 }),
    eventLoopDelayMs: variables.integer('EVENT_LOOP_DELAY_MS', { ...milliseconds, fallback: 500 }),
    cardProtocols: readCardProtocols(variables),
    ...readBounds(variables),
  });
}

/**
 * What a tool needs that reads and writes the stores and serves nothing. Throws ConfigError with one line for a person.
 */
export function readStoresConfig(
  environment: Readonly<Record<string, string | undefined>>,
): Pick<ApiConfig, 'postgres' | 'mongodb' | 'logLevel'> {
  const variables = new Variables(environment);
  const mongodb = readMongodb(variables);
  return {
    postgres: readPostgres(variables),
    mongodb: mongodb.uri === '' ? null : mongodb,
    logLevel: readLogLevel(variables),
  };
}

function readCardProtocols(variables: Variables): readonly CardProtocol[] {
  const names = variables.list('CARD_PROTOCOLS');
  const isKnown = (name: string): name is CardProtocol => (cardProtocols as readonly string[]).includes(name);
  if (!names.every(isKnown)) {
    throw new ConfigError(`CARD_PROTOCOLS has a name that is none of ${cardProtocols.join(', ')}`);
  }
  return Object.freeze(names.length === 0 ? ['native'] : names);
}

function readConsoleHost(variables: Variables, apiPort: number): ConsoleAddress | null {
  const text = variables.text('CONSOLE_HOST', {
    fallback,
    pattern: /^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}$/,
  });
  if (text === '') return null;
  const at = text.lastIndexOf(':');
  const address = { host: text.slice(0, at).replace(/[[\]]/g, ''), port: Number(text.slice(at + 1)) };
  if (address.port === apiPort || address.port < 1 || address.port > 65_535) {
    throw new ConfigError('CONSOLE_HOST needs a port of its own, from 1 to 65535, such as 10.0.0.5:3002');
  }
  return Object.freeze(address);
}

const readLogLevel = (variables: Variables) => variables.oneOf('LOG_LEVEL', logLevels);

function readConnections(
  variables: Variables,
  limit: number,
  poolsMax: number,
  isBehindProxy: boolean,
): Pick<ApiConfig, 'connections' | 'opsConnections'> {
  const count = { min: 1, max: 1_000_000, fallback: undefined };
  const opsMax = variables.integer('API_OPS_CONNECTIONS_MAX', { min: 2, max: 10_000, fallback: 64 });
  return {
    connections: connectionBounds({
      limit,
      // Two monitoring connections to each MongoDB server.
      reserve: ownDescriptors + opsMax + poolsMax,
      variable: 'API_CONNECTIONS_MAX',
      max: variables.integer('API_CONNECTIONS_MAX', count),
      // Behind a proxy all clients come from one address.
      perAddressMax: variables.integer('API_CONNECTIONS_PER_ADDRESS_MAX', {
        ...count,
        fallback: isBehindProxy ? limit : undefined,
      }),
    }),
    // Part of the public port's reserve, so each port answers when the other one is full.
    opsConnections: connectionBounds({
      limit: Number.POSITIVE_INFINITY,
      reserve: 0,
      variable: 'API_OPS_CONNECTIONS_MAX',
      max: opsMax,
      perAddressMax: undefined,
    }),
  };
}

function readSecrets(
  variables: Variables,
): Pick<ApiConfig, 'engineToken' | 'jwtSecrets' | 'feedKeys' | 'panKeys' | 'accessTokenS' | 'refreshTokenDays'> {
  const engineTokens = variables.list('ENGINE_TOKEN', true);
  const jwtSecrets = variables.list('JWT_SECRET', true);
  if (jwtSecrets.some((secret) => Buffer.byteLength(secret) < secretBytesMin)) {
    throw new ConfigError(
      `JWT_SECRET has a key of fewer than ${secretBytesMin} bytes: make one with openssl rand -hex 32`,
    );
  }
  return {
    // The newest: engines take it, and the ones before it, before an API sends it.
    engineToken: engineTokens[0]!,
    jwtSecrets,
    feedKeys: Object.freeze(feedKeysOf(variables.list('FEED_KEY'), engineTokens)),
    panKeys: Object.freeze(panKeysOf(variables.list('PAN_KEY'), engineTokens)),
    // An access token stays valid for this long after its session has ended elsewhere.
    accessTokenS: variables.integer('ACCESS_TOKEN_SECONDS', { min: 10, max: 3600, fallback: 900 }),
    refreshTokenDays: variables.integer('REFRESH_TOKEN_DAYS', { min: 1, max: 365, fallback: 30 }),
  };
}

function readPostgres(variables: Variables): PostgresConfig {
  const url = variables.postgresUrl('DATABASE_URL');
  return Object.freeze({
    url,
    directUrl: variables.postgresUrl('DATABASE_DIRECT_URL', url),
    poolMax: variables.integer('POSTGRES_POOL_MAX', { ...connections, fallback: 20 }),
    idleS: variables.integer('POSTGRES_IDLE_SECONDS', { ...seconds, fallback: 30 }),
    connectS: variables.integer('POSTGRES_CONNECT_SECONDS', { ...seconds, fallback: 5 }),
    acquireMs: variables.integer('POSTGRES_ACQUIRE_MS', { ...milliseconds, fallback: 60_000 }),
    statementMs: variables.integer('POSTGRES_STATEMENT_MS', { ...milliseconds, fallback: 5000 }),
    slowQueryMs: variables.integer('SLOW_QUERY_MS', { ...milliseconds, fallback: 100 }),
  });
}

/** `uri` is '' where there is no MongoDB. */
function readMongodb(variables: Variables): MongodbConfig {
  const poolMax = variables.integer('MONGODB_POOL_MAX', { ...connections, fallback: 10 });
  const poolMin = variables.integer('MONGODB_POOL_MIN', { min: 0, max: 1000, fallback: 2 });
  if (poolMin > poolMax) throw new ConfigError('MONGODB_POOL_MIN must be at most MONGODB_POOL_MAX');
  return Object.freeze({
    uri: variables.text('MONGODB_URI', { fallback, pattern: /^mongodb(\+srv)?:\/\// }),
    poolMax,
    poolMin,
    idleMs: variables.integer('MONGODB_IDLE_MS', { ...milliseconds, fallback: 30_000 }),
    serverSelectionMs: variables.integer('MONGODB_SERVER_SELECTION_MS', { ...milliseconds, fallback: 5000 }),
    socketMs: variables.integer('MONGODB_SOCKET_MS', { ...milliseconds, fallback: 45_000 }),
  });
}

function readSmtp(variables: Variables, publicUrl: string): SmtpConfig | null {
  const url = variables.text('SMTP_URL', { fallback, pattern: /^smtps?:\/\/[^/?#]+\/?$/ });
  const sender = /^[^\r\n]*[^\s@<]+@[^\s@>]+>?$/;
  const from = variables.text('MAIL_FROM', { fallback, lengthMax: 200, pattern: sender });
  if (url === '') return null;
  if (from === '') throw new ConfigError('MAIL_FROM is not set: with SMTP_URL, give the sender of mails');
  if (publicUrl === '') throw new ConfigError('PUBLIC_URL is not set: with SMTP_URL, links in mails need it');
  return Object.freeze({ url, from });
}

function readCache(variables: Variables): CacheConfig {
  return Object.freeze({
    userS: variables.integer('CACHE_USER_SECONDS', { ...seconds, fallback: userLifetimeS }),
    cardS: variables.integer('CACHE_CARD_SECONDS', { ...seconds, fallback: cardLifetimeS }),
    transactionsS: variables.integer('CACHE_TRANSACTIONS_SECONDS', { ...seconds, fallback: 300 }),
    localS: variables.integer('CACHE_LOCAL_SECONDS', { ...seconds, fallback: 300 }),
  });
}

function readBounds(
  variables: Variables,
): Pick<
  ApiConfig,
  | 'selfFunding'
  | 'fundingApprovalMinor'
  | 'registrationsMax'
  | 'rateLimits'
  | 'tenantBounds'
  | 'cardCaps'
  | 'usersPerCompanyMax'
> {
  const most = (name: string, fallback: number) => variables.integer(name, { ...bound, fallback });
  return {
    // Customers move their own money in and out: for a demo's database alone.
    selfFunding: variables.isTrue('SELF_FUNDING'),
    // 10,000.00 of most currencies: where banks begin to report cash.
    fundingApprovalMinor: variables.integer('FUNDING_APPROVAL_MINOR', {
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
      fallback: 1_000_000,
    }),
    // A person registers once; a bound that an office behind one address does not meet.
    registrationsMax: variables.integer('REGISTRATIONS_PER_15_MINUTES', { min: 1, max: 10_000_000, fallback: 300 }),
    rateLimits: Object.freeze({
      person: most('RATE_LIMIT_PERSON_PER_MINUTE', 600),
      key: most('RATE_LIMIT_KEY_PER_MINUTE', 6000),
      anonymous: most('RATE_LIMIT_ANONYMOUS_PER_MINUTE', 600),
      // An office of fifty people behind one address.
      address: most('RATE_LIMIT_ADDRESS_PER_MINUTE', 30_000),
    }),
    tenantBounds: Object.freeze({
      requests: most('TENANT_REQUESTS_MAX', 100),
      reports: most('TENANT_REPORTS_MAX', 8),
    }),
    cardCaps: Object.freeze({
      company: most('CARDS_PER_COMPANY_MAX', cardCapsDefault.company),
      person: most('CARDS_PER_PERSON_MAX', cardCapsDefault.person),
    }),
    usersPerCompanyMax: most('USERS_PER_COMPANY_MAX', 1000),
  };
}
