/**
 * The environment, read once into a frozen, typed configuration. A bad or missing value stops the start with one line
 * that names the variable and says what would be right.
 */

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { cardLifetimeS } from '../platform/cache/keys.js';
import { ConfigError, logLevels, Variables } from '../platform/config/variables.js';
import { panKeysOf } from '../platform/masking/hidden-ids.js';
import { type ConnectionBounds, connectionBounds, descriptorLimit } from '../platform/process/descriptors.js';
import { feedKeysOf } from '../platform/redis/seal.js';
import { parseRedisUrl } from '../platform/redis/url.js';
import { readTraceSettings, type TraceSettings } from '../platform/tracing/open-traces.js';
import { Protocol } from './core/codes.js';
import { journalFrameBytesMax } from './core/limits.js';
import type { Policy } from './core/question.js';
import type { StandInRule } from './core/stand-in.js';
import type { JournalSizes } from './exchange/journal-sizes.js';
import { type LinkSettings, readLinkSettings } from './protocols/iso8583/link-settings.js';
import { readStandIn } from './standin/settings.js';
import type { SigningSecrets } from './transports/http/routes.js';
import { standardKey } from './transports/http/signatures.js';

const dayMs = 86_400_000;

export type JournalKind = 'local' | 'postgres';

/** How engines on one database reach each other. */
export interface PeerConfig {
  /** Where this engine listens for the others, on HOST; 0: any free port. */
  readonly port: number;
  /** `host:port` that the others find in the database; '': HOST, or this machine's name, and the port. */
  readonly address: string;
  /** Pre-shared keys, newest first. */
  readonly keys: readonly string[];
}

export interface EngineConfig {
  readonly host: string;
  readonly authPort: number;
  readonly opsPort: number;
  readonly opsHost: string;
  /** Connections of the authorization port and of the ops port: together they leave descriptors for everything else. */
  readonly authConnections: ConnectionBounds;
  readonly opsConnections: ConnectionBounds;
  readonly databaseUrl: string;
  /** '': hints of changes travel by Postgres LISTEN/NOTIFY. */
  readonly redisUrl: string;
  /** How long an unused card stays in Redis. The account API has the same variable. */
  readonly cacheCardS: number;
  /** Known to be up to date longer ago than this, the engine approves nothing. */
  readonly feedStaleMsMax: number;
  /** Least time that another engine waits for one that does not say that it stopped (writer-lease.ts). */
  readonly leaseMs: number;
  /** Where frames are made durable: on the disk of this machine, or in Postgres. */
  readonly journal: JournalKind;
  /** Of the local journal. */
  readonly dataDir: string;
  /** Shares of the accounts with one writer each; the first start on a database fixes their number. */
  readonly partitionCount: number;
  /** Worker threads that host the partitions. */
  readonly threads: number;
  /** The hop to other engines, with JOURNAL=postgres. */
  readonly peer: PeerConfig;
  readonly deadlineMs: number;
  /** What partitions have of it: with a stand-in, the rest is for the disk of its journal. */
  readonly partitionDeadlineMs: number;
  /** Null: it is off. */
  readonly standIn: StandInRule | null;
  /** Most requests accepted and not answered. */
  readonly maxInFlight: number;
  /** Threads that take connections of the authorization port; 1: the main thread alone. */
  readonly fronts: number;
  readonly processorUser: string;
  /** Newest first: any of them is taken. */
  readonly processorPasswords: readonly string[];
  readonly engineTokens: readonly string[];
  readonly logLevel: string;
  /** A decided answer slower than this is logged with the hop that was slow. */
  readonly slowAuthorizationMs: number;
  readonly traces: TraceSettings;
  readonly policy: Policy;
  /** Keys of the hashes that stand for identifiers with card numbers, newest first. */
  readonly panKeys: readonly string[];
  /** Keys of the codes of what goes through Redis, newest first. */
  readonly feedKeys: readonly string[];
  /** Of the processors that sign their requests, newest first; a processor without any has no path. */
  readonly signingSecrets: SigningSecrets;
  /** Links of ISO 8583 over TCP, each with a port of its own. */
  readonly isoLinks: readonly LinkSettings[];
  /** Messages of the native form with unknown fields are refused. */
  readonly strictFields: boolean;
  /** Bounds of one partition's memory, in entries. */
  readonly accountsMax: number;
  readonly cardsMax: number;
  readonly transactionsMax: number;
  readonly seenIdsMax: number;
  readonly journalSizes: JournalSizes;
}

const secret = { lengthMax: 200 };

/** Shorter secrets can be guessed over the network; they are taken all the same, and said so in the log. */
const secretLengthMin = 16;

/** One line for each secret that is too short for anything but a demo on loopback. */
export function secretWarnings(config: EngineConfig): string[] {
  const secrets: [string, string][] = [
    ...config.processorPasswords.map((value): [string, string] => ['PROCESSOR_PASSWORD', value]),
    ...config.engineTokens.map((value): [string, string] => ['ENGINE_TOKEN', value]),
    ...config.signingSecrets.marqeta.map((value): [string, string] => ['MARQETA_WEBHOOK_SECRET', value]),
    ...config.signingSecrets.stripe.map((value): [string, string] => ['STRIPE_SECRET', value]),
    ...config.panKeys.map((key): [string, string] => ['PAN_KEY', key]),
    ...config.feedKeys
      .filter((key) => !config.engineTokens.includes(key))
      .map((key): [string, string] => ['FEED_KEY', key]),
    ...config.peer.keys
      .filter((key) => !config.engineTokens.includes(key))
      .map((key): [string, string] => ['PEER_KEY', key]),
  ];
  return secrets
    .filter(([, value]) => value.length < secretLengthMin)
    .map(([name]) => `${name} has fewer than ${secretLengthMin} characters: choose a longer one outside of tests`);
}

/**
 * Reads the engine's configuration. Throws ConfigError with one line for a person.
 * @param cores processor cores of this machine: one stays with the front
 * @param openFilesMax file descriptors that this process may have
 * @param variables reads the environment; docs/configuration.md comes from one that notes each variable's rule
 */
export function readEngineConfig(
  environment: Readonly<Record<string, string | undefined>>,
  cores = availableParallelism(),
  openFilesMax = descriptorLimit(),
  variables = new Variables(environment),
): EngineConfig {
  const port = { min: 1, max: 65_535 };
  const journal = variables.oneOf('JOURNAL', ['local', 'postgres']);
  const redisUrl = variables.text('REDIS_URL', { fallback: '' });
  try {
    if (redisUrl !== '') parseRedisUrl(redisUrl);
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
  const seenIdsMax = variables.integer('SEEN_IDS_MAX', { fallback: 2 ** 22, min: 16, max: 2 ** 26 });
  if ((seenIdsMax & (seenIdsMax - 1)) !== 0) throw new ConfigError('SEEN_IDS_MAX must be a power of two');
  const engineTokens = variables.secrets('ENGINE_TOKEN', secret.lengthMax);
  const partitions = readPartitions(variables, journal, cores);
  const host = variables.text('HOST', { fallback: '127.0.0.1' });
  // Below half a second a slow moment of Postgres would look like its end.
  const feedStaleMsMax = variables.integer('FEED_STALE_MS_MAX', { fallback: 30_000, min: 500, max: 3_600_000 });
  return Object.freeze({
    ...readConnections(variables, partitions.partitionCount, openFilesMax),
    host,
    peer: readPeer(variables, engineTokens),
    authPort: variables.integer('AUTH_PORT', { ...port, fallback: 8080 }),
    opsPort: variables.integer('OPS_PORT', { ...port, fallback: 8081 }),
    opsHost: variables.text('OPS_HOST', { fallback: '127.0.0.1' }),
    databaseUrl: variables.postgresUrl('DATABASE_URL'),
    redisUrl,
    cacheCardS: variables.integer('CACHE_CARD_SECONDS', { fallback: cardLifetimeS, min: 1, max: 86_400 }),
    feedStaleMsMax,
    leaseMs: variables.integer('LEASE_MS', { fallback: 3000, min: 500, max: 600_000 }),
    journal,
    ...standInAndPlace(variables, journal, feedStaleMsMax, readFronts(variables)),
    ...partitions,
    maxInFlight: variables.integer('MAX_IN_FLIGHT', { fallback: 4096, min: 1, max: 65_536 }),
    // A colon would end the user name in Basic authentication (RFC 7617).
    processorUser: variables.text('PROCESSOR_USER', { ...secret, pattern: /^[^:]+$/ }),
    processorPasswords: variables.secrets('PROCESSOR_PASSWORD', secret.lengthMax),
    engineTokens,
    logLevel: variables.oneOf('LOG_LEVEL', logLevels),
    slowAuthorizationMs: variables.positive('SLOW_AUTHORIZATION_MS', 50),
    traces: readTraceSettings(variables),
    policy: Object.freeze({
      holdMs: variables.positive('HOLD_DAYS', 7, 365) * dayMs,
      holdLongMs: variables.positive('HOLD_DAYS_LONG', 30, 365) * dayMs,
      refundRestoresWindows: variables.isTrue('REFUND_RESTORES_WINDOWS'),
      wholeAmountsOnly: variables.isTrue('MARQETA_PARTIAL_APPROVAL') ? [] : [Protocol.marqeta],
    }),
    feedKeys: feedKeysOf(variables.list('FEED_KEY'), engineTokens),
    panKeys: panKeysOf(variables.list('PAN_KEY'), engineTokens),
    signingSecrets: readSigningSecrets(variables),
    strictFields: variables.isTrue('STRICT_FIELDS'),
    accountsMax: variables.integer('ACCOUNTS_MAX', { fallback: 2 ** 22, min: 16, max: 2 ** 25 }),
    cardsMax: variables.integer('CARDS_MAX', { fallback: 2 ** 22, min: 4, max: 2 ** 25 }),
    transactionsMax: variables.integer('HOLDS_MAX', { fallback: 2 ** 22, min: 16, max: 2 ** 24 }),
    seenIdsMax,
    journalSizes: Object.freeze({
      segmentBytes: variables.integer('JOURNAL_SEGMENT_BYTES', {
        // A copy of what is not settled needs less room than a journal that bridges an outage of Postgres.
        fallback: journal === 'local' ? 2 ** 26 : 2 ** 24,
        min: 2 ** 23,
        max: 2 ** 30,
      }),
      frameBytesMax: journalFrameBytesMax,
      segmentsMax: variables.integer('JOURNAL_SEGMENTS_MAX', { fallback: 64, min: 2, max: 4096 }),
    }),
  });
}

/** Of DEADLINE_MS: the disk syncs in a few milliseconds, and a busy one in twenty. */
const standInShare = 1 / 4;
/**
 * With front threads an approval is judged so long before its deadline, milliseconds: behind that it leaves a turn of
 * its front thread. A pause of that thread may still make it late, which authorization_approved_late_total counts.
 */
const frontTurnMs = 5;

function standInAndPlace(
  variables: Variables,
  journal: JournalKind,
  feedStaleMsMax: number,
  fronts: number,
): Pick<EngineConfig, 'dataDir' | 'standIn' | 'deadlineMs' | 'partitionDeadlineMs'> {
  const deadlineMs = variables.integer('DEADLINE_MS', { fallback: 100, min: 1, max: 3000 });
  const dataDir = variables.text('DATA_DIR', { fallback: '.data' });
  const standIn = readStandIn(variables.text('STANDIN', { fallback: '' }), {
    stateAgeMsMax: feedStaleMsMax,
    engines: journal === 'local' ? 1 : undefined,
  });
  if (standIn !== null && journal === 'postgres' && variables.text('DATA_DIR', { fallback: '' }) === '') {
    throw new ConfigError('STANDIN needs DATA_DIR, a folder of this engine alone: its approvals stand there first');
  }
  const judgedMs = fronts === 1 ? deadlineMs : Math.max(deadlineMs / 2, deadlineMs - frontTurnMs);
  return {
    dataDir,
    standIn,
    deadlineMs,
    partitionDeadlineMs: standIn === null ? judgedMs : judgedMs * (1 - standInShare),
  };
}

function readPeer(variables: Variables, engineTokens: readonly string[]): PeerConfig {
  return Object.freeze({
    port: variables.integer('PEER_PORT', { min: 0, max: 65_535, fallback: 8082 }),
    address: variables.text('PEER_ADDRESS', {
      fallback: '',
      pattern: /^(?:(?:[^\s:]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5})?$/,
    }),
    keys: feedKeysOf(variables.list('PEER_KEY'), engineTokens),
  });
}

function readIsoLinks(variables: Variables): readonly LinkSettings[] {
  const path = variables.text('ISO8583_LINKS', { fallback: '' });
  if (path === '') return Object.freeze([]);
  // A key that follows from ENGINE_TOKEN would give every card another token when that is rotated.
  if (variables.list('PAN_KEY').length === 0) {
    throw new ConfigError('ISO8583_LINKS needs PAN_KEY: the tokens of cards are hashes of their numbers under it');
  }
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`ISO8583_LINKS: the file ${path} cannot be read: ${(error as Error).message}`);
  }
  return readLinkSettings(text);
}

/** Most secrets of a processor: each costs every wrong request an HMAC. */
const signingSecretsMax = 8;

function readSigningSecrets(variables: Variables): SigningSecrets {
  const lithic = variables.list('LITHIC_SECRET');
  if (lithic.length > signingSecretsMax || lithic.some((secret) => standardKey(secret) === null)) {
    throw new ConfigError(
      `LITHIC_SECRET must be at most ${signingSecretsMax} secrets as Lithic shows them (whsec_ and base64), ` +
        'separated by commas',
    );
  }
  const marqeta = readSecrets(variables, 'MARQETA_WEBHOOK_SECRET');
  const stripe = readSecrets(variables, 'STRIPE_SECRET');
  return Object.freeze({ marqeta, lithic, stripe });
}

function readSecrets(variables: Variables, name: string): readonly string[] {
  const secrets = variables.list(name);
  if (secrets.length > signingSecretsMax || secrets.some(({ length }) => length > secret.lengthMax)) {
    throw new ConfigError(
      `${name} must be at most ${signingSecretsMax} secrets of up to ${secret.lengthMax} characters, ` +
        'separated by commas',
    );
  }
  return secrets;
}

/** Beyond it the main thread, which keeps the ledger, has long been the limit. */
const frontsMax = 16;

function readFronts(variables: Variables): number {
  const fronts = variables.integer('FRONTS', { fallback: 1, min: 1, max: frontsMax });
  // Elsewhere the kernel gives all connections of a shared port to one thread, and PortLock has no names.
  if (fronts > 1 && process.platform !== 'linux') throw new ConfigError('FRONTS above 1 needs Linux');
  return fronts;
}

/** Whether the front has to know each id: which partition it belongs to, or that it is new. */
export function frontKnowsIds({ partitionCount, standIn }: Pick<EngineConfig, 'partitionCount' | 'standIn'>): boolean {
  return partitionCount > 1 || standIn !== null;
}

/** Enough to spread over ten engines, and few enough that frames stay large. */
const partitionsOfPostgres = 12;
/** Of a database. Far above what ten engines need; each costs every engine a few hundred kilobytes. */
const partitionsMax = 64;

/** A local journal has a thread for each partition; partitions in Postgres share the threads of their engine. */
function readPartitions(
  variables: Variables,
  journal: JournalKind,
  cores: number,
): Pick<EngineConfig, 'partitionCount' | 'threads'> {
  const bounds = { fallback: undefined, min: 1, max: partitionsMax };
  const workers = variables.integer('WORKERS', bounds) ?? Math.max(1, cores - 1);
  const asked = variables.integer('PARTITIONS', bounds);
  const partitionCount = asked ?? (journal === 'postgres' ? partitionsOfPostgres : workers);
  return { partitionCount, threads: journal === 'postgres' ? Math.min(workers, partitionCount) : partitionCount };
}

/** Descriptors of the process itself, of its connections to databases and of the shipper: 36 are in use at rest. */
const ownDescriptors = 128;
/** Of a partition: 11 are in use at rest; a replacement starts while its predecessor's are being closed. */
const descriptorsPerPartition = 32;
/** Of a front thread: its event loop and its listening socket, 8 in use at rest. */
const descriptorsPerFront = 16;
/** Of account APIs (64 each at most), of Prometheus and of people. */
const opsConnectionsMax = 1024;
const opsConnectionsMin = 32;
/** Of the limit of open files. */
const opsShare = 1 / 16;

function readConnections(
  variables: Variables,
  partitionCount: number,
  limit: number,
): Pick<EngineConfig, 'authConnections' | 'opsConnections' | 'isoLinks' | 'fronts'> {
  const fronts = readFronts(variables);
  const isoLinks = readIsoLinks(variables);
  const count = { fallback: undefined, min: 1, max: 1_000_000 };
  const ofLinks = isoLinks.reduce((sum, { connectionsMax }) => sum + connectionsMax + 1, 0);
  const ofFronts = fronts > 1 ? fronts * descriptorsPerFront : 0;
  const reserve = ownDescriptors + partitionCount * descriptorsPerPartition + ofLinks + ofFronts;
  const fallback = Math.floor(Math.min(opsConnectionsMax, Math.max(opsConnectionsMin, limit * opsShare)));
  const ops = variables.integer('OPS_CONNECTIONS_MAX', { ...count, fallback });
  return {
    fronts,
    isoLinks,
    authConnections: connectionBounds({
      limit,
      reserve: reserve + ops,
      variable: 'AUTH_CONNECTIONS_MAX',
      max: variables.integer('AUTH_CONNECTIONS_MAX', count),
      perAddressMax: variables.integer('AUTH_CONNECTIONS_PER_ADDRESS_MAX', count),
    }),
    opsConnections: connectionBounds({
      limit,
      reserve,
      variable: 'OPS_CONNECTIONS_MAX',
      max: ops,
      perAddressMax: variables.integer('OPS_CONNECTIONS_PER_ADDRESS_MAX', count),
    }),
  };
}
