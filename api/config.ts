/**
 * The environment of the account API, read once into a frozen, typed configuration. A bad or missing value stops the
 * start with one line that names the variable and says what would be right, and never shows the value: it may be a secret.
 */
import { Ajv } from 'ajv';
import { cardLifetimeS, userLifetimeS } from '../platform/cache/keys.js';
import { panKeysOf } from '../platform/masking/hidden-ids.js';
import { type ConnectionBounds, connectionBounds, descriptorLimit } from '../platform/process/descriptors.js';
import { feedKeysOf } from '../platform/redis/seal.js';
import type { RateLimits } from './http/rate-limits.js';
import type { RequestLogSettings } from './http/request-log.js';
import type { TenantBounds } from './http/tenant-bounds.js';
import type { SmtpConfig } from './mail/smtp-mailer.js';
import { type CardCaps, cardCapsDefault } from './stores/cards.js';

export interface ApiConfig {
  readonly host: string;
  readonly port: number;
  readonly connections: ConnectionBounds;
  /** Health and metrics. */
  readonly opsHost: string;
  /** 0: any free one. */
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
  readonly bodyBytesMax: number;
  /** Whether customers may fund their own accounts; true is refused unless the database is a demo's. */
  readonly selfFunding: boolean;
  /** Customers that one network may register in 15 minutes. */
  readonly registrationsMax: number;
  readonly rateLimits: RateLimits;
  readonly tenantBounds: TenantBounds;
  readonly cardCaps: CardCaps;
  readonly usersPerCompanyMax: number;
  /** When everything waits this long for its turn, new requests are refused: better few answers in time than none. */
  readonly eventLoopDelayMs: number;
}

export interface PostgresConfig {
  readonly url: string;
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

/** Lifetimes in seconds: the shared level (Redis) by kind, the level in this process for all kinds. */
export interface CacheConfig {
  readonly userS: number;
  readonly cardS: number;
  readonly transactionsS: number;
  readonly localS: number;
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const port = { type: 'integer', minimum: 1, maximum: 65535 };
const milliseconds = { type: 'integer', minimum: 1, maximum: 600_000 };
const seconds = { type: 'integer', minimum: 1, maximum: 86_400 };
/** Scheme, host and port, as a browser sends them: `https://app.example.com`. */
const origin = 'https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?';
/** Newest first, separated by commas. */
const secrets = { type: 'string', minLength: 1, maxLength: 2000, pattern: '^[^,\\s]+(,[^,\\s]+)*$' };
const connections = { type: 'integer', minimum: 1, maximum: 1000 };

const bound = { type: 'integer', minimum: 1, maximum: 100_000_000 };

/** The rules of all variables; docs/configuration.md shows them. */
export const schema = {
  type: 'object',
  required: ['DATABASE_URL', 'JWT_SECRET', 'ENGINE_TOKEN'],
  properties: {
    HOST: { type: 'string', minLength: 1, default: '127.0.0.1' },
    API_PORT: { ...port, default: 3000 },
    OPS_HOST: { type: 'string', minLength: 1, default: '127.0.0.1' },
    API_OPS_PORT: { ...port, minimum: 0, default: 3001 },
    API_OPS_CONNECTIONS_MAX: { type: 'integer', minimum: 2, maximum: 10_000, default: 64 },
    API_CONNECTIONS_MAX: { type: 'integer', minimum: 1, maximum: 1_000_000 },
    API_CONNECTIONS_PER_ADDRESS_MAX: { type: 'integer', minimum: 1, maximum: 1_000_000 },
    LOG_LEVEL: { enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], default: 'info' },
    REQUEST_LOG_LEVEL: { enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], default: 'info' },
    REQUEST_LOG_SAMPLE: { type: 'number', minimum: 0, maximum: 1, default: 1 },
    CORS_ORIGINS: { type: 'string', pattern: `^${origin}(,${origin})*$` },
    TRUSTED_PROXIES: { type: 'string', pattern: '^[0-9a-fA-F.:/]+(,[0-9a-fA-F.:/]+)*$' },
    DATABASE_URL: { type: 'string', pattern: '^postgres(ql)?://' },
    REDIS_URL: { type: 'string', pattern: '^rediss?(\\+(sentinel|cluster))?://' },
    MONGODB_URI: { type: 'string', pattern: '^mongodb(\\+srv)?://' },
    SMTP_URL: { type: 'string', pattern: '^smtps?://[^/?#]+/?$' },
    MAIL_FROM: { type: 'string', pattern: '^[^\\r\\n]*[^\\s@<]+@[^\\s@>]+>?$', maxLength: 200 },
    PUBLIC_URL: { type: 'string', pattern: '^https?://[^\\s?#]+$', maxLength: 500 },
    ENGINE_URL: { type: 'string', pattern: '^https?://[^/]+/?$', default: 'http://127.0.0.1:8081' },
    ENGINE_TOKEN: secrets,
    JWT_SECRET: secrets,
    PAN_KEY: secrets,
    FEED_KEY: secrets,
    // Access tokens cannot be taken back one by one for longer than this.
    ACCESS_TOKEN_SECONDS: { type: 'integer', minimum: 10, maximum: 3600, default: 900 },
    REFRESH_TOKEN_DAYS: { type: 'integer', minimum: 1, maximum: 365, default: 30 },
    POSTGRES_POOL_MAX: { ...connections, default: 20 },
    POSTGRES_IDLE_SECONDS: { ...seconds, default: 30 },
    POSTGRES_CONNECT_SECONDS: { ...seconds, default: 5 },
    POSTGRES_ACQUIRE_MS: { ...milliseconds, default: 60_000 },
    POSTGRES_STATEMENT_MS: { ...milliseconds, default: 5000 },
    SLOW_QUERY_MS: { ...milliseconds, default: 100 },
    MONGODB_POOL_MAX: { ...connections, default: 10 },
    MONGODB_POOL_MIN: { type: 'integer', minimum: 0, maximum: 1000, default: 2 },
    MONGODB_IDLE_MS: { ...milliseconds, default: 30_000 },
    MONGODB_SERVER_SELECTION_MS: { ...milliseconds, default: 5000 },
    MONGODB_SOCKET_MS: { ...milliseconds, default: 45_000 },
    CACHE_USER_SECONDS: { ...seconds, default: userLifetimeS },
    CACHE_CARD_SECONDS: { ...seconds, default: cardLifetimeS },
    CACHE_TRANSACTIONS_SECONDS: { ...seconds, default: 300 },
    CACHE_LOCAL_SECONDS: { ...seconds, default: 300 },
    SLOW_RESPONSE_MS: { ...milliseconds, default: 1000 },
    BODY_BYTES_MAX: { type: 'integer', minimum: 1024, maximum: 1_048_576, default: 65_536 },
    EVENT_LOOP_DELAY_MS: { ...milliseconds, default: 500 },
    // Customers move their own money in and out: for a demo's database alone.
    SELF_FUNDING: { type: 'boolean', default: false },
    // A person registers once; a bound that an office behind one address does not meet.
    REGISTRATIONS_PER_15_MINUTES: { type: 'integer', minimum: 1, maximum: 10_000_000, default: 300 },
    RATE_LIMIT_PERSON_PER_MINUTE: { ...bound, default: 600 },
    RATE_LIMIT_KEY_PER_MINUTE: { ...bound, default: 6000 },
    RATE_LIMIT_ANONYMOUS_PER_MINUTE: { ...bound, default: 600 },
    // An office of fifty people behind one address.
    RATE_LIMIT_ADDRESS_PER_MINUTE: { ...bound, default: 30_000 },
    TENANT_REQUESTS_MAX: { ...bound, default: 100 },
    TENANT_REPORTS_MAX: { ...bound, default: 8 },
    CARDS_PER_COMPANY_MAX: { ...bound, default: cardCapsDefault.company },
    CARDS_PER_PERSON_MAX: { ...bound, default: cardCapsDefault.person },
    USERS_PER_COMPANY_MAX: { ...bound, default: 1000 },
  },
} as const;

interface Variables {
  HOST: string;
  API_PORT: number;
  OPS_HOST: string;
  API_OPS_PORT: number;
  API_OPS_CONNECTIONS_MAX: number;
  API_CONNECTIONS_MAX?: number;
  API_CONNECTIONS_PER_ADDRESS_MAX?: number;
  LOG_LEVEL: string;
  REQUEST_LOG_LEVEL: RequestLogSettings['level'];
  REQUEST_LOG_SAMPLE: number;
  CORS_ORIGINS?: string;
  TRUSTED_PROXIES?: string;
  DATABASE_URL: string;
  REDIS_URL?: string;
  MONGODB_URI?: string;
  SMTP_URL?: string;
  MAIL_FROM?: string;
  PUBLIC_URL?: string;
  ENGINE_URL: string;
  ENGINE_TOKEN: string;
  JWT_SECRET: string;
  PAN_KEY?: string;
  FEED_KEY?: string;
  ACCESS_TOKEN_SECONDS: number;
  REFRESH_TOKEN_DAYS: number;
  POSTGRES_POOL_MAX: number;
  POSTGRES_IDLE_SECONDS: number;
  POSTGRES_CONNECT_SECONDS: number;
  POSTGRES_ACQUIRE_MS: number;
  POSTGRES_STATEMENT_MS: number;
  SLOW_QUERY_MS: number;
  MONGODB_POOL_MAX: number;
  MONGODB_POOL_MIN: number;
  MONGODB_IDLE_MS: number;
  MONGODB_SERVER_SELECTION_MS: number;
  MONGODB_SOCKET_MS: number;
  CACHE_USER_SECONDS: number;
  CACHE_CARD_SECONDS: number;
  CACHE_TRANSACTIONS_SECONDS: number;
  CACHE_LOCAL_SECONDS: number;
  SLOW_RESPONSE_MS: number;
  BODY_BYTES_MAX: number;
  EVENT_LOOP_DELAY_MS: number;
  SELF_FUNDING: boolean;
  REGISTRATIONS_PER_15_MINUTES: number;
  RATE_LIMIT_PERSON_PER_MINUTE: number;
  RATE_LIMIT_KEY_PER_MINUTE: number;
  RATE_LIMIT_ANONYMOUS_PER_MINUTE: number;
  RATE_LIMIT_ADDRESS_PER_MINUTE: number;
  TENANT_REQUESTS_MAX: number;
  TENANT_REPORTS_MAX: number;
  CARDS_PER_COMPANY_MAX: number;
  CARDS_PER_PERSON_MAX: number;
  USERS_PER_COMPANY_MAX: number;
}

/** A shorter secret can be guessed from one token, at leisure. */
const secretBytesMin = 32;

/** Descriptors of the process itself, of the feed, of Redis, of the engine's ops port and of files on their way out. */
const ownDescriptors = 256;

function connectionsOf(variables: Variables, limit: number): ConnectionBounds {
  const {
    API_CONNECTIONS_MAX: max,
    API_CONNECTIONS_PER_ADDRESS_MAX: perAddressMax,
    TRUSTED_PROXIES: proxies,
  } = variables;
  return connectionBounds({
    limit,
    // Two monitoring connections to each MongoDB server.
    reserve:
      ownDescriptors + variables.API_OPS_CONNECTIONS_MAX + variables.POSTGRES_POOL_MAX + 2 * variables.MONGODB_POOL_MAX,
    variable: 'API_CONNECTIONS_MAX',
    max,
    // Behind a proxy all clients come from one address.
    perAddressMax: perAddressMax ?? (proxies === undefined ? undefined : limit),
  });
}

/** Part of the public port's reserve, so each port answers when the other one is full. */
function opsConnectionsOf({ API_OPS_CONNECTIONS_MAX: max }: Variables): ConnectionBounds {
  return connectionBounds({
    limit: Number.POSITIVE_INFINITY,
    reserve: 0,
    variable: 'API_OPS_CONNECTIONS_MAX',
    max,
    perAddressMax: undefined,
  });
}

/**
 * Reads the configuration of the API. Throws ConfigError with one line for a person.
 * @param openFilesMax file descriptors that this process may have
 */
export function readApiConfig(
  environment: Readonly<Record<string, string | undefined>>,
  openFilesMax = descriptorLimit(),
): ApiConfig {
  const variables = validated(environment);
  if (variables.MONGODB_POOL_MIN > variables.MONGODB_POOL_MAX) {
    throw new ConfigError('MONGODB_POOL_MIN must be at most MONGODB_POOL_MAX');
  }
  const jwtSecrets = variables.JWT_SECRET.split(',');
  if (jwtSecrets.some((secret) => Buffer.byteLength(secret) < secretBytesMin)) {
    throw new ConfigError(
      `JWT_SECRET has a key of fewer than ${secretBytesMin} bytes: make one with openssl rand -hex 32`,
    );
  }
  return Object.freeze({
    host: variables.HOST,
    port: variables.API_PORT,
    connections: connectionsOf(variables, openFilesMax),
    opsHost: variables.OPS_HOST,
    opsPort: variables.API_OPS_PORT,
    opsConnections: opsConnectionsOf(variables),
    logLevel: variables.LOG_LEVEL,
    trustedProxies: variables.TRUSTED_PROXIES ?? null,
    corsOrigins: Object.freeze(variables.CORS_ORIGINS?.split(',') ?? []),
    engineUrl: variables.ENGINE_URL.replace(/\/$/, ''),
    // The newest: engines take it, and the ones before it, before an API sends it.
    engineToken: variables.ENGINE_TOKEN.split(',')[0]!,
    jwtSecrets: Object.freeze(jwtSecrets),
    feedKeys: Object.freeze(feedKeysOf(variables.FEED_KEY?.split(',') ?? [], variables.ENGINE_TOKEN.split(','))),
    panKeys: Object.freeze(panKeysOf(variables.PAN_KEY?.split(',') ?? [], variables.ENGINE_TOKEN.split(','))),
    accessTokenS: variables.ACCESS_TOKEN_SECONDS,
    refreshTokenDays: variables.REFRESH_TOKEN_DAYS,
    postgres: postgresOf(variables),
    mongodb: mongodbOf(variables),
    redisUrl: variables.REDIS_URL ?? null,
    smtp: smtpOf(variables),
    publicUrl: (variables.PUBLIC_URL ?? `http://${variables.HOST}:${variables.API_PORT}`).replace(/\/+$/, ''),
    cache: cacheOf(variables),
    requestLog: Object.freeze({ level: variables.REQUEST_LOG_LEVEL, sample: variables.REQUEST_LOG_SAMPLE }),
    slowResponseMs: variables.SLOW_RESPONSE_MS,
    bodyBytesMax: variables.BODY_BYTES_MAX,
    eventLoopDelayMs: variables.EVENT_LOOP_DELAY_MS,
    selfFunding: variables.SELF_FUNDING,
    registrationsMax: variables.REGISTRATIONS_PER_15_MINUTES,
    rateLimits: Object.freeze({
      person: variables.RATE_LIMIT_PERSON_PER_MINUTE,
      key: variables.RATE_LIMIT_KEY_PER_MINUTE,
      anonymous: variables.RATE_LIMIT_ANONYMOUS_PER_MINUTE,
      address: variables.RATE_LIMIT_ADDRESS_PER_MINUTE,
    }),
    cardCaps: Object.freeze({ company: variables.CARDS_PER_COMPANY_MAX, person: variables.CARDS_PER_PERSON_MAX }),
    usersPerCompanyMax: variables.USERS_PER_COMPANY_MAX,
    tenantBounds: Object.freeze({ requests: variables.TENANT_REQUESTS_MAX, reports: variables.TENANT_REPORTS_MAX }),
  });
}

/** What a tool needs that reads and writes the stores and serves nothing. Throws ConfigError with one line for a person. */
export function readStoresConfig(
  environment: Readonly<Record<string, string | undefined>>,
): Pick<ApiConfig, 'postgres' | 'mongodb' | 'logLevel'> {
  const variables = validated(environment, ['DATABASE_URL']);
  return { postgres: postgresOf(variables), mongodb: mongodbOf(variables), logLevel: variables.LOG_LEVEL };
}

function validated(
  environment: Readonly<Record<string, string | undefined>>,
  required: readonly string[] = schema.required,
): Variables {
  const known = new Set(Object.keys(schema.properties));
  // An empty variable means "not set", as shells and compose files write it.
  const variables: unknown = Object.fromEntries(
    Object.entries(environment).filter(([name, value]) => known.has(name) && value),
  );
  const validate = new Ajv({ coerceTypes: true, useDefaults: true }).compile<Variables>({ ...schema, required });
  if (validate(variables)) return variables;
  const [error] = validate.errors!;
  if (error!.keyword === 'required') {
    const name = (error!.params as { missingProperty: string }).missingProperty;
    throw new ConfigError(`${name} is not set: give it in the environment (make run makes one for the demo)`);
  }
  throw new ConfigError(`${error!.instancePath.slice(1)} ${error!.message}`);
}

function postgresOf(variables: Variables): PostgresConfig {
  return Object.freeze({
    url: variables.DATABASE_URL,
    poolMax: variables.POSTGRES_POOL_MAX,
    idleS: variables.POSTGRES_IDLE_SECONDS,
    connectS: variables.POSTGRES_CONNECT_SECONDS,
    acquireMs: variables.POSTGRES_ACQUIRE_MS,
    statementMs: variables.POSTGRES_STATEMENT_MS,
    slowQueryMs: variables.SLOW_QUERY_MS,
  });
}

function smtpOf({ SMTP_URL: url, MAIL_FROM: from, PUBLIC_URL: publicUrl }: Variables): SmtpConfig | null {
  if (url === undefined) return null;
  if (from === undefined) throw new ConfigError('MAIL_FROM is not set: with SMTP_URL, give the sender of mails');
  if (publicUrl === undefined) throw new ConfigError('PUBLIC_URL is not set: with SMTP_URL, links in mails need it');
  return Object.freeze({ url, from });
}

function mongodbOf(variables: Variables): MongodbConfig | null {
  if (variables.MONGODB_URI === undefined) return null;
  return Object.freeze({
    uri: variables.MONGODB_URI,
    poolMax: variables.MONGODB_POOL_MAX,
    poolMin: variables.MONGODB_POOL_MIN,
    idleMs: variables.MONGODB_IDLE_MS,
    serverSelectionMs: variables.MONGODB_SERVER_SELECTION_MS,
    socketMs: variables.MONGODB_SOCKET_MS,
  });
}

function cacheOf(variables: Variables): CacheConfig {
  return Object.freeze({
    userS: variables.CACHE_USER_SECONDS,
    cardS: variables.CACHE_CARD_SECONDS,
    transactionsS: variables.CACHE_TRANSACTIONS_SECONDS,
    localS: variables.CACHE_LOCAL_SECONDS,
  });
}
