/**
 * The connection to MongoDB, and the API's only importer of its driver. It has pool settings, collections with their
 * validators and indexes (sql/mongo), health, and errors sorted by what a caller can do.
 */
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import type { AnyBulkWriteOperation, Collection, Db, Document, MongoClient, MongoServerError } from 'mongodb';
import type { Log } from '../../../platform/log.js';
import { OperationTimes } from '../../../platform/metrics/operation-times.js';
import { withDeadline } from '../../../platform/process/deadline.js';
import { noteHop } from '../../../platform/tracing/request-trace.js';
import { type MongoIndex, type MongoSchema, readMongoSchemas } from '../../../sql/mongo-schemas.js';
import type { MongodbConfig } from '../../config.js';
import { DatabaseUnavailable } from '../database-errors.js';
import type { DatabaseHealth } from '../postgres.js';

export type { AnyBulkWriteOperation, Collection, Document };

const require = createRequire(import.meta.url);
let loaded: typeof import('mongodb') | null = null;

/** The driver is a fourth of all code that the API loads, and most deployments have no MongoDB. */
function driver(): typeof import('mongodb') {
  loaded ??= require('mongodb') as typeof import('mongodb');
  return loaded;
}

/** Longest that one operation may run on the server, and one request waits for it: a person waits for the answer. */
const operationMs = 3_000;
/** Used when the connection string names no database. */
const databaseDefault = 'atlanticfrewaycard';
const watchEveryMs = 1_000;
/** Slower ones are logged, by name and without values, and counted: as with Postgres. */
const slowMs = 100;

/**
 * A background operation waits until no request has used the store for this long: a freeze is several operations with
 * work in between. It waits ten times as long as the last one took at most, so that a fast store keeps up beside
 * steady traffic.
 */
const quietMs = 15;
const giveWayFactor = 10;
const giveWayMsMax = 250;
const giveWayLookMs = 2;
/** Then it rests twice as long as it took, so that the store has most of its time for requests. */
const restFactor = 2;
const restMsMax = 5_000;

const duplicateKeyCode = 11_000;

/** What a background operation brought, and how long the store took for it. */
export interface Measured<T> {
  readonly value: T;
  readonly tookMs: number;
}

export class MongoConnection {
  readonly #client: MongoClient;
  readonly #log: Log;
  readonly #db: Db;
  #watcher: NodeJS.Timeout | undefined;
  #isPinging = false;
  #isConnected = false;
  #isPrepared = false;
  /** Null: up, as far as we know. */
  #downReason: string | null = null;
  /** What the driver's own watch of the server says; '' while the server answers it. */
  #heartbeatFailure = '';
  /** Operations that requests wait for. */
  #requestOperations = 0;
  /** Settles when the newest background operation has ended. */
  #behind: Promise<unknown> = Promise.resolve();
  #restUntilMs = 0;
  #behindTookMs = giveWayMsMax / giveWayFactor;
  #requestEndedAtMs = Number.NEGATIVE_INFINITY;
  /** Counters, read by the metrics. */
  operations = 0;
  slowOperations = 0;
  failedOperations = 0;
  readonly times = new OperationTimes();

  constructor(config: MongodbConfig, log: Log) {
    this.#log = log;
    this.#client = new (driver().MongoClient)(config.uri, {
      appName: 'api',
      maxPoolSize: config.poolMax,
      minPoolSize: config.poolMin,
      maxIdleTimeMS: config.idleMs,
      // Below the deadline of a request: who waits longer than an operation may take gets a 503.
      serverSelectionTimeoutMS: Math.min(config.serverSelectionMs, operationMs),
      connectTimeoutMS: Math.min(config.serverSelectionMs, operationMs),
      waitQueueTimeoutMS: operationMs,
      socketTimeoutMS: config.socketMs,
      retryReads: true,
      // A write that was cut off may have happened: who asked looks at the version, the driver must not repeat it
      // blindly.
      retryWrites: false,
      writeConcern: { w: 'majority' },
    });
    this.#db = this.#client.db(databaseNameOf(config.uri));
    // The driver says why it does not use a server (too old, no TLS, another protocol) only after all of its waiting.
    this.#client.on('serverHeartbeatFailed', ({ failure }) => {
      this.#heartbeatFailure = failure.message;
    });
    this.#client.on('serverHeartbeatSucceeded', () => {
      this.#heartbeatFailure = '';
    });
  }

  collection<T extends Document>(name: string): Collection<T> {
    return this.#db.collection<T>(name);
  }

  /** Watches MongoDB from now on. Returns also when it does not answer: everything else can be served. */
  async start(): Promise<void> {
    await this.#ping();
    if (this.#downReason !== null) {
      this.#log.warn({ reason: this.#downReason }, 'MongoDB does not answer yet: serving without it until it does');
    }
    this.#watcher = setInterval(() => void this.#ping(), watchEveryMs);
    this.#watcher.unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#watcher);
    await this.#client.close(true);
  }

  health(): DatabaseHealth {
    return this.#downReason === null ? { isUp: true, detail: 'answers' } : { isUp: false, detail: this.#downReason };
  }

  /**
   * Runs one operation under the deadline.
   * @throws DatabaseUnavailable when MongoDB is away or late
   */
  async run<T>(name: string, operation: (options: { readonly maxTimeMS: number }) => Promise<T>): Promise<T> {
    // Known to be away: an error now is better than the same error after a time-out.
    if (this.#downReason !== null) throw new DatabaseUnavailable(`MongoDB: ${this.#downReason}`);
    this.#requestOperations++;
    try {
      return await this.#execute(name, operation);
    } finally {
      this.#requestOperations--;
      this.#requestEndedAtMs = performance.now();
    }
  }

  /**
   * Runs one operation that no request waits for: after those that requests wait for, one at a time, and with rests.
   * It has no deadline of ours: a store that is late with one must not be given a second one beside it. The socket's
   * limit ends it.
   * @throws DatabaseUnavailable when MongoDB is away
   */
  async runBehind<T>(name: string, operation: () => Promise<T>): Promise<Measured<T>> {
    const turn = this.#behind.then(() => this.#executeBehind(name, operation));
    this.#behind = turn.catch(() => undefined);
    return turn;
  }

  async #executeBehind<T>(name: string, operation: () => Promise<T>): Promise<Measured<T>> {
    const restMs = this.#restUntilMs - performance.now();
    if (restMs > 0) await delay(restMs);
    const giveUpAtMs = performance.now() + Math.min(this.#behindTookMs * giveWayFactor, giveWayMsMax);
    while (!this.#isQuiet && performance.now() < giveUpAtMs) await delay(giveWayLookMs);
    if (this.#downReason !== null) throw new DatabaseUnavailable(`MongoDB: ${this.#downReason}`);
    this.operations++;
    const startedMs = performance.now();
    try {
      const value = await operation();
      return { value, tookMs: performance.now() - startedMs };
    } catch (error) {
      throw this.#failed(name, error);
    } finally {
      const tookMs = performance.now() - startedMs;
      this.times.add(name, tookMs);
      if (tookMs > slowMs) this.slowOperations++;
      this.#behindTookMs = tookMs;
      this.#restUntilMs = performance.now() + Math.min(tookMs * restFactor, restMsMax);
    }
  }

  get #isQuiet(): boolean {
    return this.#requestOperations === 0 && performance.now() - this.#requestEndedAtMs > quietMs;
  }

  async #execute<T>(name: string, operation: (options: { readonly maxTimeMS: number }) => Promise<T>): Promise<T> {
    this.operations++;
    const startedMs = performance.now();
    try {
      // The server's own limit does not help when it stands still, and the socket's is longer than any client waits.
      return await withDeadline(operation({ maxTimeMS: operationMs }), operationMs + 200, () => {
        throw new DatabaseUnavailable(`${name}: MongoDB gave no answer within ${operationMs} ms`);
      });
    } catch (error) {
      throw this.#failed(name, error);
    } finally {
      const tookMs = performance.now() - startedMs;
      this.times.add(name, tookMs);
      noteHop(`mongodb ${name}`, startedMs);
      if (tookMs > slowMs) {
        this.slowOperations++;
        this.#log.warn({ operation: name, tookMs: Math.round(tookMs) }, 'slow MongoDB operation');
      }
    }
  }

  /** Tells a store that is away from an operation that is refused. @returns the error for the caller */
  #failed(name: string, error: unknown): unknown {
    if (error instanceof driver().MongoServerError && !isRetryable(error)) return error;
    this.failedOperations++;
    void this.#ping();
    return error instanceof driver().MongoError
      ? new DatabaseUnavailable(`${name}: ${error.message}`, { cause: error })
      : error;
  }

  async #ping(): Promise<void> {
    if (this.#isPinging) return;
    this.#isPinging = true;
    try {
      await withDeadline(this.#connectAndPing(), operationMs, () => {
        throw new Error(this.#heartbeatFailure || `no answer within ${operationMs} ms`);
      });
      if (!this.#isPrepared) await this.#prepare();
      this.#isPrepared = true;
      if (this.#downReason !== null) this.#log.info('MongoDB answers again');
      this.#downReason = null;
    } catch (error) {
      const { message } = error as Error;
      if (this.#downReason === null && this.#watcher !== undefined) {
        this.#log.error({ error: message }, 'MongoDB is away');
      }
      this.#downReason = message;
    } finally {
      this.#isPinging = false;
    }
  }

  /** A first connection that failed closes the driver's client for good, unless it is asked to connect again. */
  async #connectAndPing(): Promise<void> {
    if (!this.#isConnected) {
      await this.#client.connect();
      this.#isConnected = true;
    }
    await this.#db.command({ ping: 1 });
  }

  /** Collections, validators where the server takes them, and indexes; all of it may be there already. */
  async #prepare(): Promise<void> {
    let refusal: string | null = null;
    for (const schema of await readMongoSchemas()) {
      refusal = (await this.#validate(schema)) ?? refusal;
      for (const index of schema.indexes) await this.#index(schema.collection, index);
    }
    if (refusal !== null) {
      this.#log.warn(
        { reason: refusal },
        'this MongoDB-protocol server takes no validators: documents are checked by us alone',
      );
    }
  }

  /** @returns why the server takes no validator; null when it did */
  async #validate({ collection, validator }: MongoSchema): Promise<string | null> {
    const { length } = await this.#db.listCollections({ name: collection }, { nameOnly: true }).toArray();
    try {
      if (length === 0) await this.#db.createCollection(collection, { validator });
      else await this.#db.command({ collMod: collection, validator });
      return null;
    } catch (error) {
      if (!(error instanceof driver().MongoServerError)) throw error;
      // Two processes that start at once: the other one made it.
      if (error.codeName === 'NamespaceExists') return null;
      if (length === 0) await this.#db.createCollection(collection).catch(ignoreExisting);
      return error.message;
    }
  }

  async #index(collection: string, index: MongoIndex): Promise<void> {
    const { key, ...options } = index;
    try {
      await this.#db.collection(collection).createIndex(key, options);
    } catch (error) {
      if (!(error instanceof driver().MongoServerError) || options.sparse !== true) throw error;
      // A server without sparse indexes serves the same queries with a larger one.
      const { sparse, ...plain } = options;
      await this.#db.collection(collection).createIndex(key, plain);
    }
  }
}

/** Whether a unique index refused the document. */
export function isDuplicateKey(error: unknown): boolean {
  return error instanceof driver().MongoServerError && error.code === duplicateKeyCode;
}

/** Places in a bulk write of the documents that a unique index refused; null when something else was refused too. */
export function duplicatesOf(error: unknown): readonly number[] | null {
  if (!(error instanceof driver().MongoBulkWriteError)) return null;
  const errors = Array.isArray(error.writeErrors) ? error.writeErrors : [error.writeErrors];
  return errors.every(({ code }) => code === duplicateKeyCode) ? errors.map(({ index }) => index) : null;
}

/**
 * Why a write of documents was refused, apart from those that a unique id kept out: null when nothing else was. What
 * is no refusal of a document, like a lost connection, is thrown again.
 */
export function refusalsOf(error: unknown): string | null {
  if (error instanceof driver().MongoBulkWriteError) {
    const errors = Array.isArray(error.writeErrors) ? error.writeErrors : [error.writeErrors];
    const other = errors.find(({ code }) => code !== duplicateKeyCode);
    if (other !== undefined) return other.errmsg ?? `error ${other.code}`;
    if (errors.length > 0) return null;
  }
  if (isDuplicateKey(error)) return null;
  const isOfServer = error instanceof driver().MongoServerError && !isRetryable(error);
  if (isOfServer || error instanceof driver().BSON.BSONError) return (error as Error).message;
  throw error;
}

/** The server is going away or in the middle of an election, or the operation ran into its time limit (50). */
function isRetryable(error: MongoServerError): boolean {
  return (
    error instanceof driver().MongoNetworkError ||
    error.code === 50 ||
    error.hasErrorLabel('RetryableWriteError') ||
    error.hasErrorLabel('TransientTransactionError')
  );
}

function ignoreExisting(error: unknown): void {
  if (!(error instanceof driver().MongoServerError && error.codeName === 'NamespaceExists')) throw error;
}

function databaseNameOf(uri: string): string {
  const name = /^mongodb(?:\+srv)?:\/\/[^/?]+\/([^?]*)/.exec(uri)?.[1] ?? '';
  return name === '' ? databaseDefault : decodeURIComponent(name);
}
