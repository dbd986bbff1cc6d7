/** What the live page shows of the program beside its engines: the books, and what is wrong. */
import { Alerts } from '../live/alerts.js';
import type { LiveAlert, LiveBooks, LiveEngine } from '../live/live-shape.js';
import type { Surroundings } from '../live/merge.js';
import type { BooksStateStore, LedgerNumbers } from '../stores/books-state.js';
import type { Database } from '../stores/postgres.js';
import { Rounds } from './rounds.js';
import type { Watches } from './watches.js';

const everyMs = 5_000;

export interface LedgerWatchParts {
  readonly store: Pick<BooksStateStore, 'read'>;
  readonly database: Pick<Database, 'health'>;
  readonly watches: Pick<Watches, 'replicas' | 'certificate'>;
}

export class LedgerWatch implements Surroundings {
  readonly #parts: LedgerWatchParts;
  readonly #alerts = new Alerts();
  readonly #rounds = new Rounds(() => this.look().then(() => everyMs));
  #numbers: LedgerNumbers | null = null;

  constructor(parts: LedgerWatchParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#rounds.start(0);
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  async look(): Promise<void> {
    // While the database is away, the last numbers stay: the books have the time of their check.
    this.#numbers = await this.#parts.store.read().catch(() => this.#numbers);
  }

  get books(): LiveBooks | null {
    if (this.#numbers === null) return null;
    const { checkedAt, accounts, unchecked, unbalanced, firstAccount } = this.#numbers;
    const checkedAtMs = checkedAt === null ? null : Date.parse(checkedAt);
    return { checkedAtMs, accounts, unchecked, unbalanced, firstUnbalanced: firstAccount };
  }

  alerts(engines: readonly LiveEngine[], refusedShare: number, nowMs: number): readonly LiveAlert[] {
    const { database, watches } = this.#parts;
    const { replicas, certificate } = watches;
    const { notAfterMs, server } = certificate;
    const seen = {
      engines,
      refusedShare,
      books: this.books,
      quarantined: this.#numbers?.quarantined ?? 0,
      partitions: this.#numbers?.partitions ?? 0,
      isDatabaseUp: database.health().isUp,
      servers: replicas.states,
      certificate: notAfterMs === null ? null : { server, notAfterMs },
    };
    return this.#alerts.look(seen, nowMs);
  }
}
