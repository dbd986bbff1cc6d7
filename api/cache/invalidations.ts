/**
 * How changes reach other processes and Redis. Postgres sends the name of the group, and of the card, when a committed
 * change gets its number in the feed. feed_number does it, so that no caller can forget it; the API does it for changes
 * outside the feed. Every process listens, forgets what it has itself, and takes out of Redis what API and engines have
 * cached there.
 *
 * A connection that listens can be lost without a word. So each process also sends itself a beat: while it hears its
 * own, it would have received everything else.
 */
import { randomInt } from 'node:crypto';
import type { Log } from '../../platform/log.js';
import type { Database, Sql } from '../stores/postgres.js';
import type { Cache } from './cache.js';

const channel = 'cache';
const groupPattern = /^[a-z]{1,16}:\d{1,16}$/;
const cardPattern = /^card (\S{1,200})$/;
const sessionPattern = /^session (\d{1,16})$/;
/** The payload of a notification has 8000 bytes: room for the 105 sessions that a user has at most. */
const sessionsPattern = /^sessions ((?:\d{1,16} ?)+)$/;
const userPattern = /^user (\d{1,16})$/;
const tenantPattern = /^tenant ([cu]\d{1,16}) (\S{1,40})$/;
const beatEveryMs = 1_000;
/** Missed changes may be served for as long. */
const deafAfterMs = 3_500;
/** Tenants that wrote while the message before was on its way; beyond it, others see what they wrote a little later. */
const writersMax = 10_000;

/** What the check of access tokens must know of changes at other processes. */
export interface AccessListener {
  sessionEnded(sessionId: number): void;
  userChanged(userId: number): void;
}

export class Invalidations {
  readonly #database: Database;
  readonly #cache: Cache;
  readonly #log: Log;
  readonly #sender = `${process.pid}-${randomInt(2 ** 47)}`;
  readonly #beat = `beat ${this.#sender}`;
  readonly #writers = new Set<string>();
  #telling: Promise<void> | null = null;
  #onWriter: (tenant: string) => void = () => undefined;
  #accessListener: AccessListener = { sessionEnded: () => undefined, userChanged: () => undefined };
  #close: (() => Promise<void>) | null = null;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | null = null;
  #receivedAtMs = Number.NEGATIVE_INFINITY;
  #isListening = false;
  #isStopped = true;
  /** Counter, read by the metrics. */
  received = 0;

  constructor(database: Database, cache: Cache, log: Log) {
    this.#database = database;
    this.#cache = cache;
    this.#log = log;
  }

  get isListening(): boolean {
    return this.#isListening;
  }

  /** Listens from now on, also when Postgres is not there yet. */
  start(): void {
    this.#isStopped = false;
    this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#telling;
    await this.#running;
    await this.#disconnect();
  }

  /** Tells the other processes of a change that has no trigger. */
  async send(group: string): Promise<void> {
    try {
      await this.#notify(group);
    } catch (error) {
      // Then they do not hear their beats either, and keep nothing.
      this.#log.debug({ error: (error as Error).message }, 'a change could not be announced to other processes');
    }
  }

  /** A session ended here: its access tokens must be refused everywhere. */
  async sessionEnded(sessionId: number): Promise<void> {
    await this.send(`session ${sessionId}`);
  }

  /** Sessions of a user ended here, at most as many as a user has. */
  async sessionsEnded(sessionIds: readonly number[]): Promise<void> {
    if (sessionIds.length === 0) return;
    await this.send(`sessions ${sessionIds.join(' ')}`);
  }

  /** A user's role or status changed here: every process must read it again. */
  async userChanged(userId: number): Promise<void> {
    await this.send(`user ${userId}`);
  }

  /** @param listener called for changes at any process, this one included */
  onAccess(listener: AccessListener): void {
    this.#accessListener = listener;
  }

  /**
   * Announces to the other processes that a tenant wrote something. No request waits for it; what comes meanwhile goes
   * together.
   */
  wrote(tenant: string): void {
    if (this.#isStopped || this.#writers.size >= writersMax) return;
    this.#writers.add(tenant);
    this.#telling ??= this.#tellOfWriters().finally(() => {
      this.#telling = null;
    });
  }

  /** @param onWriter called for each tenant that wrote something at another process */
  onWrite(onWriter: (tenant: string) => void): void {
    this.#onWriter = onWriter;
  }

  async #tellOfWriters(): Promise<void> {
    while (this.#writers.size > 0) {
      const texts = [...this.#writers].map((tenant) => `tenant ${tenant} ${this.#sender}`);
      this.#writers.clear();
      try {
        const notify = (sql: Sql) => sql`select pg_notify(${channel}, text) from unnest(${texts}::text[]) text`;
        await this.#database.run('cache.notify', notify);
      } catch (error) {
        // What they keep they keep for moments only.
        this.#log.debug({ error: (error as Error).message }, 'writes could not be announced to other processes');
      }
    }
  }

  #schedule(waitMs: number): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#look().finally(() => {
        this.#running = null;
        this.#schedule(beatEveryMs);
      });
    }, waitMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    try {
      if (this.#isListening && performance.now() - this.#receivedAtMs > deafAfterMs) {
        this.#isListening = false;
        this.#cache.listening(false);
        await this.#disconnect();
      }
      this.#close ??= await this.#database.listen(channel, (text) => this.#hear(text));
      await this.#notify(this.#beat);
    } catch {
      // The database's own watcher says that it is away; a connection made in vain is given up.
      if (!this.#isListening) await this.#disconnect();
    }
  }

  #hear(text: string): void {
    if (text === this.#beat) {
      this.#receivedAtMs = performance.now();
      if (this.#isListening || this.#isStopped) return;
      this.#isListening = true;
      this.#cache.listening(true);
      return;
    }
    const [, tenant, sender] = tenantPattern.exec(text) ?? [];
    if (tenant !== undefined && sender !== this.#sender) this.#onWriter(tenant);
    const [, sessionId] = sessionPattern.exec(text) ?? [];
    if (sessionId !== undefined) this.#accessListener.sessionEnded(Number(sessionId));
    const [, sessionIds = ''] = sessionsPattern.exec(text) ?? [];
    for (const id of sessionIds.match(/\d+/g) ?? []) this.#accessListener.sessionEnded(Number(id));
    const [, userId] = userPattern.exec(text) ?? [];
    if (userId !== undefined) this.#accessListener.userChanged(Number(userId));
    const [, token] = cardPattern.exec(text) ?? [];
    if (token !== undefined) this.#cache.cardChanged(token);
    if (!groupPattern.test(text)) return;
    this.received++;
    this.#cache.groupChanged(text);
  }

  async #notify(text: string): Promise<void> {
    await this.#database.run('cache.notify', (sql) => sql`select pg_notify(${channel}, ${text})`);
  }

  async #disconnect(): Promise<void> {
    const close = this.#close;
    this.#close = null;
    await close?.().catch(() => undefined);
  }
}
