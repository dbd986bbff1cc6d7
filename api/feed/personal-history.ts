/**
 * The history of personal customers in MongoDB, taken from the settled ledger by a LedgerTail: each transaction as it
 * stands now. A step takes a few milliseconds, so that a slow store has time for people's requests. Then the history
 * follows more slowly.
 */

import type { Log } from '../../platform/log.js';

import { readTransactions } from '../stores/personal/history-source.js';
import type { HistoryDocument, MongoHistory } from '../stores/personal/mongo-history.js';
import type { Database } from '../stores/postgres.js';
import type { LedgerIdentity, SettledRecord } from '../stores/settled-ledger.js';
import type { Turn } from './leased-follower.js';
import { type LedgerSink, LedgerTail, type TailPlace } from './ledger-tail.js';
import { Pace } from './pace.js';

/** A person who has just paid looks at the list: well below a second, and one tiny query each. */
const everyMs = 200;
/** One operation: a request that comes meanwhile waits for it at most. */
const operationPace = { first: 10, max: 200, targetMs: 10 };
/** Transactions compared with a restored ledger at a time. */
const comparedAtOnce = 100;

export class PersonalHistory implements LedgerSink {
  readonly tail: LedgerTail;
  readonly #history: MongoHistory;
  readonly #database: Database;
  readonly #log: Log;
  readonly #additions = new Pace(operationPace);
  readonly #updates = new Pace({ ...operationPace, first: 1 });
  /** Counters, read by the metrics. */
  copied = 0;
  /** Transactions removed because a restored ledger does not have them. */
  removed = 0;

  constructor(history: MongoHistory, database: Database, identity: LedgerIdentity, log: Log) {
    this.#history = history;
    this.#database = database;
    this.#log = log;
    const { positions } = history;
    const tail = { database, identity, log, everyMs, positions, sink: this };
    this.tail = new LedgerTail({ ...tail, name: 'personal history', customers: 'personal' });
  }

  begin(): Promise<void> {
    return this.#history.removeOlderForms();
  }

  async take({ ledger, partition }: TailPlace, records: readonly SettledRecord[], turn: Turn): Promise<void> {
    const transactions = [...new Set(records.map(({ transaction }) => transaction))];
    for (let start = 0; start < transactions.length && !turn.isStopping; ) {
      const names = transactions.slice(start, start + this.#additions.size);
      start += names.length;
      await this.#copy(await readTransactions(this.#database, ledger, partition, { names }), turn);
    }
  }

  async compare({ ledger, partition }: TailPlace, sequence: number, turn: Turn): Promise<void> {
    const removedBefore = this.removed;
    for (let last = ''; !turn.isStopping; ) {
      await turn.keepLease();
      const suspects = await this.#history.suspects(ledger, Number(partition), sequence, last, comparedAtOnce);
      const ids = [...new Set(suspects.map(({ transactionId }) => transactionId))];
      const transactions = await readTransactions(this.#database, ledger, partition, { ids });
      const real = new Set(transactions.map(({ _id }) => _id));
      const suspected = new Set(suspects.map(({ _id }) => _id));
      const phantoms = suspects.filter(({ _id }) => !real.has(_id)).map(({ _id }) => _id);
      await this.#history.correct(
        transactions.filter(({ _id }) => suspected.has(_id)),
        phantoms,
      );
      this.removed += phantoms.length;
      const end = suspects.at(-1);
      if (end === undefined || suspects.length < comparedAtOnce) break;
      last = end._id;
    }
    const removed = this.removed - removedBefore;
    if (removed > 0) this.#log.warn({ partition, removed }, 'transactions that the ledger does not have were removed');
  }

  async #copy(documents: readonly HistoryDocument[], turn: Turn): Promise<void> {
    if (documents.length === 0) return;
    await turn.keepLease();
    const { value: existing, tookMs } = await this.#history.add(documents);
    this.#additions.took(documents.length, tookMs);
    this.copied += documents.length - existing.length;
    for (let start = 0; start < existing.length && !turn.isStopping; ) {
      const slice = existing.slice(start, start + this.#updates.size);
      start += slice.length;
      // MongoDB compares and writes in one step, FerretDB does not: only the lease keeps an older state out.
      await turn.keepLease();
      const updated = await this.#history.update(slice);
      this.#updates.took(slice.length, updated.tookMs);
      this.copied += slice.length;
    }
  }
}
