/**
 * The environment, read once into a frozen, typed configuration. A bad or missing value stops the start with one line
 * that names the variable and says what would be right.
 */
import { availableParallelism } from 'node:os';
import { Ajv } from 'ajv';
import { cardLifetimeS } from './cache/keys.js';
import type { Policy } from './core/decide.js';
import { journalFrameBytesMax } from './core/limits.js';
import { parseRedisUrl } from './redis/url.js';

const dayMs = 86_400_000;

export interface EngineConfig {
  readonly host: string;
  readonly authPort: number;
  readonly opsPort: number;
  readonly opsHost: string;
  readonly databaseUrl: string;
  /** '': hints of changes travel by Postgres LISTEN/NOTIFY. */
  readonly redisUrl: string;
  /** How long a card that nobody asks for stays in Redis. The account API has the same variable. */
  readonly cacheCardS: number;
  /** Known to be up to date longer ago than this, the engine approves nothing. */
  readonly feedStaleMsMax: number;
  readonly dataDir: string;
  readonly workers: number;
  readonly deadlineMs: number;
  /** Most requests accepted and not answered. */
  readonly maxInFlight: number;
  readonly processorUser: string;
  readonly processorPassword: string;
  readonly engineToken: string;
  readonly logLevel: string;
  /** A decided answer slower than this is logged with the hop that was slow. */
  readonly slowAuthorizationMs: number;
  readonly policy: Policy;
  readonly marqetaPartialApproval: boolean;
  /** Bounds of one partition's memory, in entries. */
  readonly accountsMax: number;
  readonly cardsMax: number;
  readonly chainsMax: number;
  readonly seenIdsMax: number;
  /** Seen alike by the partition's writer and the shipper: both must mean the same files. */
  readonly journalSizes: {
    readonly segmentBytes: number;
    readonly frameBytesMax: number;
    /** Most segments on disk per partition. */
    readonly segmentsMax: number;
  };
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const port = { type: 'integer', minimum: 1, maximum: 65535 };
const schema = {
  type: 'object',
  required: ['DATABASE_URL', 'PROCESSOR_USER', 'PROCESSOR_PASSWORD', 'ENGINE_TOKEN'],
  properties: {
    HOST: { type: 'string', minLength: 1, default: '127.0.0.1' },
    AUTH_PORT: { ...port, default: 8080 },
    OPS_PORT: { ...port, default: 8081 },
    OPS_HOST: { type: 'string', minLength: 1, default: '127.0.0.1' },
    DATABASE_URL: { type: 'string', pattern: '^postgres(ql)?://' },
    DATA_DIR: { type: 'string', minLength: 1, default: '.data' },
    REDIS_URL: { type: 'string', default: '' },
    CACHE_CARD_SECONDS: { type: 'integer', minimum: 1, maximum: 86_400, default: cardLifetimeS },
    // Below half a second a slow moment of Postgres would look like its end.
    FEED_STALE_MS_MAX: { type: 'integer', minimum: 500, maximum: 3_600_000, default: 30_000 },
    LEDGER: { enum: ['memory', 'postgres'], default: 'memory' },
    WORKERS: { type: 'integer', minimum: 1, maximum: 64 },
    DEADLINE_MS: { type: 'integer', minimum: 1, maximum: 3000, default: 100 },
    MAX_IN_FLIGHT: { type: 'integer', minimum: 1, maximum: 65536, default: 4096 },
    // An empty secret is a missing one; a colon would end the user name in Basic authentication (RFC 7617).
    PROCESSOR_USER: { type: 'string', minLength: 1, maxLength: 200, pattern: '^[^:]+$' },
    PROCESSOR_PASSWORD: { type: 'string', minLength: 1, maxLength: 200 },
    ENGINE_TOKEN: { type: 'string', minLength: 1, maxLength: 200 },
    LOG_LEVEL: { enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], default: 'info' },
    SLOW_AUTHORIZATION_MS: { type: 'number', exclusiveMinimum: 0, default: 50 },
    HOLD_DAYS: { type: 'number', exclusiveMinimum: 0, maximum: 365, default: 7 },
    HOLD_DAYS_LONG: { type: 'number', exclusiveMinimum: 0, maximum: 365, default: 30 },
    REFUND_RESTORES_WINDOWS: { type: 'boolean', default: false },
    MARQETA_PARTIAL_APPROVAL: { type: 'boolean', default: false },
    ACCOUNTS_MAX: { type: 'integer', minimum: 16, maximum: 2 ** 25, default: 2 ** 22 },
    CARDS_MAX: { type: 'integer', minimum: 4, maximum: 2 ** 25, default: 2 ** 22 },
    HOLDS_MAX: { type: 'integer', minimum: 16, maximum: 2 ** 24, default: 2 ** 22 },
    SEEN_IDS_MAX: { type: 'integer', minimum: 16, maximum: 2 ** 26, default: 2 ** 22 },
    JOURNAL_SEGMENT_BYTES: { type: 'integer', minimum: 2 ** 23, maximum: 2 ** 30, default: 2 ** 26 },
    JOURNAL_SEGMENTS_MAX: { type: 'integer', minimum: 2, maximum: 4096, default: 64 },
  },
} as const;

interface Variables {
  HOST: string;
  AUTH_PORT: number;
  OPS_PORT: number;
  OPS_HOST: string;
  DATABASE_URL: string;
  DATA_DIR: string;
  REDIS_URL: string;
  CACHE_CARD_SECONDS: number;
  FEED_STALE_MS_MAX: number;
  LEDGER: 'memory' | 'postgres';
  WORKERS?: number;
  DEADLINE_MS: number;
  MAX_IN_FLIGHT: number;
  PROCESSOR_USER: string;
  PROCESSOR_PASSWORD: string;
  ENGINE_TOKEN: string;
  LOG_LEVEL: string;
  SLOW_AUTHORIZATION_MS: number;
  HOLD_DAYS: number;
  HOLD_DAYS_LONG: number;
  REFUND_RESTORES_WINDOWS: boolean;
  MARQETA_PARTIAL_APPROVAL: boolean;
  ACCOUNTS_MAX: number;
  CARDS_MAX: number;
  HOLDS_MAX: number;
  SEEN_IDS_MAX: number;
  JOURNAL_SEGMENT_BYTES: number;
  JOURNAL_SEGMENTS_MAX: number;
}

/** Shorter secrets can be guessed over the network; they are taken all the same, and said so in the log. */
const secretLengthMin = 16;

/** One line for each secret that is too short for anything but a demo on loopback. */
export function secretWarnings(config: EngineConfig): string[] {
  const secrets = { PROCESSOR_PASSWORD: config.processorPassword, ENGINE_TOKEN: config.engineToken };
  return Object.entries(secrets)
    .filter(([, value]) => value.length < secretLengthMin)
    .map(([name]) => `${name} has fewer than ${secretLengthMin} characters: choose a longer one outside of tests`);
}

/**
 * Reads the engine's configuration. Throws ConfigError with one line for a person.
 * @param cores processor cores of this machine: one stays with the front
 */
export function readEngineConfig(
  environment: Readonly<Record<string, string | undefined>>,
  cores = availableParallelism(),
): EngineConfig {
  const known = new Set(Object.keys(schema.properties));
  // An empty variable means "not set", as shells and compose files write it.
  const given = Object.fromEntries(Object.entries(environment).filter(([name, value]) => known.has(name) && value));
  const ajv = new Ajv({ coerceTypes: true, useDefaults: true, allErrors: false, meta: false, validateSchema: false });
  const validate = ajv.compile<Variables>(schema);
  const variables: unknown = given;
  if (!validate(variables)) {
    const [error] = validate.errors!;
    if (error!.keyword === 'required') {
      const name = (error!.params as { missingProperty: string }).missingProperty;
      throw new ConfigError(`${name} is not set: give it in the environment (make run makes one for the demo)`);
    }
    // Never the value: it may be a secret.
    throw new ConfigError(`${error!.instancePath.slice(1)} ${error!.message}`);
  }
  if (variables.LEDGER === 'postgres') {
    throw new ConfigError('LEDGER postgres is not part of this release: use memory, one engine per database');
  }
  try {
    if (variables.REDIS_URL !== '') parseRedisUrl(variables.REDIS_URL);
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
  if ((variables.SEEN_IDS_MAX & (variables.SEEN_IDS_MAX - 1)) !== 0) {
    throw new ConfigError('SEEN_IDS_MAX must be a power of two');
  }
  return Object.freeze({
    host: variables.HOST,
    authPort: variables.AUTH_PORT,
    opsPort: variables.OPS_PORT,
    opsHost: variables.OPS_HOST,
    databaseUrl: variables.DATABASE_URL,
    redisUrl: variables.REDIS_URL,
    cacheCardS: variables.CACHE_CARD_SECONDS,
    feedStaleMsMax: variables.FEED_STALE_MS_MAX,
    dataDir: variables.DATA_DIR,
    workers: variables.WORKERS ?? Math.max(1, cores - 1),
    deadlineMs: variables.DEADLINE_MS,
    maxInFlight: variables.MAX_IN_FLIGHT,
    processorUser: variables.PROCESSOR_USER,
    processorPassword: variables.PROCESSOR_PASSWORD,
    engineToken: variables.ENGINE_TOKEN,
    logLevel: variables.LOG_LEVEL,
    slowAuthorizationMs: variables.SLOW_AUTHORIZATION_MS,
    policy: Object.freeze({
      holdMs: variables.HOLD_DAYS * dayMs,
      holdLongMs: variables.HOLD_DAYS_LONG * dayMs,
      refundRestoresWindows: variables.REFUND_RESTORES_WINDOWS,
    }),
    marqetaPartialApproval: variables.MARQETA_PARTIAL_APPROVAL,
    accountsMax: variables.ACCOUNTS_MAX,
    cardsMax: variables.CARDS_MAX,
    chainsMax: variables.HOLDS_MAX,
    seenIdsMax: variables.SEEN_IDS_MAX,
    journalSizes: Object.freeze({
      segmentBytes: variables.JOURNAL_SEGMENT_BYTES,
      frameBytesMax: journalFrameBytesMax,
      segmentsMax: variables.JOURNAL_SEGMENTS_MAX,
    }),
  });
}
