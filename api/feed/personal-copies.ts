/**
 * Follows people and their cards from Postgres into MongoDB: changed rows by the feed, new ones by their numbers. A row
 * is copied as it stands now, so repeating is harmless. A step records first how far it will go, then copies, then
 * records that it is done. A crash in between repeats the step. A Postgres that was restored meanwhile is noticed by
 * what the step may have copied. One process at a time works, under a lease in Postgres; nothing waits for it.
 *
 * A new generation copies everything from the beginning and then removes what Postgres does not have. It starts where
 * the feed no longer has the next change, where Postgres was restored from an older copy, and on request (`npm run
 * rebuild-personal`).
 */

import type { Log } from '../../platform/log.js';

import {
  type CopyKind,
  type CopySource,
  copyKinds,
  type RowChoice,
  type RowPlace,
  readRows,
  readSource,
} from '../stores/personal/copy-source.js';
import type { CopyPosition, MongoCopies } from '../stores/personal/mongo-copies.js';
import type { Database } from '../stores/postgres.js';
import type { LedgerIdentity } from '../stores/settled-ledger.js';
import { LeasedFollower } from './leased-follower.js';
import { Pace } from './pace.js';

const everyMs = 500;
/** Rows read at a time: limits of a card have 72 KB at most. */
const rowsAtOnce = 100;
/** One operation: a request that comes meanwhile waits for it at most. */
const operationPace = { first: 10, max: rowsAtOnce, targetMs: 10 };
/** Rows that were set apart are tried again this often, this many at a time. */
const apartEveryMs = 60_000;
const apartAtOnce = 100;

const nowhere: CopyPosition = {
  generation: 0,
  sequence: 0,
  entry: '',
  users: { number: 0, id: '' },
  cards: { number: 0, id: '' },
  isSweeping: false,
  ahead: null,
};

/**
 * New rows up to here may be copied once every transaction below `runningTo` has ended: none can add one among them.
 */
interface Stretch {
  readonly users: RowPlace;
  readonly cards: RowPlace;
  readonly runningTo: number;
  readonly generation: number;
}

export class PersonalCopies extends LeasedFollower {
  readonly #copies: MongoCopies;
  readonly #database: Database;
  readonly #identity: LedgerIdentity;
  readonly #log: Log;
  readonly #pace = new Pace(operationPace);
  #stretch: Stretch | null = null;
  #apartTriedAtMs = performance.now();
  #isApartCounted = false;
  /** Counters and gauges, read by the metrics. */
  copied = 0;
  rebuilds = 0;
  apart = 0;
  /** One of them; '' while there is none. */
  apartName = '';

  constructor(copies: MongoCopies, database: Database, identity: LedgerIdentity, log: Log) {
    super(database, log, 'personal copies', everyMs);
    this.#copies = copies;
    this.#database = database;
    this.#identity = identity;
    this.#log = log;
  }

  protected override async step(): Promise<boolean> {
    const ledger = await this.#identity.read();
    const { position: saved, rebuild } = await this.#copies.positions.find(ledger);
    const { sequence } = saved ?? nowhere;
    const source = await readSource(this.#database, sequence, saved?.ahead ?? saved ?? nowhere);
    const reason = rebuild === null ? reasonToStartOver(saved, source) : 'it was asked for';
    if (reason === null) return this.#copyNext(ledger, saved!, source);
    await this.#startOver(ledger, saved, source, reason, rebuild);
    return false;
  }

  protected override forget(): void {
    this.#stretch = null;
  }

  async #startOver(
    ledger: string,
    saved: CopyPosition | null,
    source: CopySource,
    reason: string,
    rebuild: string | null,
  ): Promise<void> {
    // Later than every generation before, also of one whose position was lost.
    const generation = Math.max((saved?.generation ?? 0) + 1, Date.now());
    const { newest: sequence, newestEntry: entry } = source;
    const position = { ...nowhere, generation, sequence, entry, isSweeping: true };
    await this.#copies.positions.save(ledger, position, rebuild);
    this.#stretch = null;
    this.rebuilds++;
    this.#log.info({ reason, generation }, 'people and cards in MongoDB are copied again');
  }

  /** @returns whether nothing is left to do now */
  async #copyNext(ledger: string, saved: CopyPosition, source: CopySource): Promise<boolean> {
    const { entries, endedTo } = source;
    const last = entries.at(-1);
    const open = this.#stretch !== null && endedTo >= this.#stretch.runningTo ? this.#stretch : null;
    let position: CopyPosition = { ...saved, ahead: null };
    if (last !== undefined || open !== null) {
      const { sequence, mark: entry } = last ?? { sequence: saved.sequence, mark: saved.entry };
      const ahead = { sequence, entry, users: open?.users ?? saved.users, cards: open?.cards ?? saved.cards };
      await this.#copies.positions.save(ledger, { ...saved, ahead });
    }
    for (const kind of copyKinds) {
      const topic = kind === 'personalUsers' ? 'user' : 'card';
      const changed = entries.filter((entry) => entry.topic === topic).map(({ number }) => number);
      const numbers = [...new Set(changed)];
      for (let start = 0; start < numbers.length && !this.isStopping; start += rowsAtOnce) {
        await this.#copy(ledger, position, kind, { numbers: numbers.slice(start, start + rowsAtOnce) });
      }
    }
    const stretchBefore = this.#stretch;
    if (last !== undefined) position = { ...position, sequence: last.sequence, entry: last.mark };
    position = await this.#copyNew(ledger, position, source);
    if (this.isStopping) return true;
    await this.#retryApart(ledger, position);
    const isMoved = last !== undefined || open !== null || saved.ahead !== null;
    if (isMoved) await this.#copies.positions.save(ledger, position);
    const rowsLeft = source.lastUser.number - position.users.number + source.lastCard.number - position.cards.number;
    this.lag = source.newest - position.sequence + rowsLeft;
    const newest = source.newest + source.lastUser.number + source.lastCard.number;
    this.age.noted(newest, newest - this.lag);
    // A stretch that has just been found may be open at once: when nothing writes.
    const isMore = this.#stretch !== null && (this.#stretch !== stretchBefore || endedTo >= this.#stretch.runningTo);
    return position.sequence >= source.newest && !isMore;
  }

  /** @returns the position after the next new rows, if they can be read yet */
  async #copyNew(ledger: string, before: CopyPosition, source: CopySource): Promise<CopyPosition> {
    const { lastUser, lastCard, runningTo, endedTo } = source;
    const stretch = this.#stretch;
    if (stretch === null || stretch.generation !== before.generation) {
      const isNew = lastUser.number > before.users.number || lastCard.number > before.cards.number || before.isSweeping;
      const { generation } = before;
      this.#stretch = isNew ? { users: lastUser, cards: lastCard, runningTo, generation } : null;
      return before;
    }
    if (endedTo < stretch.runningTo) return before;
    let position = before;
    for (const kind of copyKinds) {
      const part = kind === 'personalUsers' ? 'users' : 'cards';
      const { number: after } = position[part];
      if (after >= stretch[part].number) continue;
      const choice = { after, upTo: stretch[part].number, limit: rowsAtOnce };
      const rows = await this.#copy(ledger, position, kind, choice);
      const end = rows.at(-1);
      if (end !== undefined) position = { ...position, [part]: end };
      // One that is not finished goes on with the next step, so that the feed is not held up.
      if (rows.length === rowsAtOnce) return position;
    }
    this.#stretch = null;
    if (!position.isSweeping || this.isStopping) return position;
    for (const kind of copyKinds) {
      const removed = await this.#copies.removeOlder(kind, { ledger, generation: position.generation });
      if (removed > 0) this.#log.info({ kind, removed }, 'copies in MongoDB that Postgres does not have were removed');
    }
    return { ...position, isSweeping: false };
  }

  /** Copies rows as they stand now. @returns their places; none when a stop came in between */
  async #copy(
    ledger: string,
    { generation }: CopyPosition,
    kind: CopyKind,
    choice: RowChoice,
  ): Promise<readonly { readonly number: number; readonly id: string }[]> {
    const rows = await readRows(this.#database, kind, choice);
    const people = rows.filter(({ copy }) => copy !== null);
    for (let start = 0; start < people.length; ) {
      if (this.isStopping) return [];
      const slice = people.slice(start, start + this.#pace.size);
      start += slice.length;
      const stamp = { ledger, generation };
      const { value: refused, tookMs } = await this.#copies.write(
        kind,
        stamp,
        slice.map(({ copy }) => copy!),
      );
      this.#pace.took(slice.length, tookMs);
      this.copied += slice.length - refused.size;
      await this.#noteApart(ledger, kind, slice, refused);
    }
    return rows.map(({ number, id }) => ({ number, id }));
  }

  /** What cannot be copied is kept apart with its name, so that everything behind it goes on. */
  async #noteApart(
    ledger: string,
    kind: CopyKind,
    rows: readonly { readonly number: number; readonly id: string }[],
    refused: ReadonlyMap<string, string>,
  ): Promise<void> {
    if (!this.#isApartCounted) await this.#countApart(ledger);
    if (refused.size === 0 && this.apart === 0) return;
    for (const { number, id } of rows) {
      const reason = refused.get(id);
      if (reason === undefined || !(await this.#copies.setApart(ledger, { kind, id, number, reason }))) continue;
      this.#log.error({ kind, id, reason }, 'a row cannot be copied to MongoDB: it is set apart');
    }
    const written = rows.filter(({ id }) => !refused.has(id)).map(({ id }) => id);
    if (written.length > 0) await this.#copies.clearApart(kind, written);
    await this.#countApart(ledger);
  }

  async #retryApart(ledger: string, position: CopyPosition): Promise<void> {
    if (this.apart === 0 || performance.now() - this.#apartTriedAtMs < apartEveryMs) return;
    this.#apartTriedAtMs = performance.now();
    const apart = await this.#copies.apart(ledger, apartAtOnce);
    for (const kind of copyKinds) {
      const mine = apart.filter((row) => row.kind === kind);
      const rows = await this.#copy(ledger, position, kind, { numbers: mine.map(({ number }) => number) });
      const found = new Set(rows.map(({ id }) => id));
      const gone = mine.filter(({ id }) => !found.has(id)).map(({ id }) => id);
      if (gone.length > 0 && !this.isStopping) await this.#copies.clearApart(kind, gone);
    }
    await this.#countApart(ledger);
  }

  async #countApart(ledger: string): Promise<void> {
    this.apart = await this.#copies.countApart(ledger);
    const [first] = this.apart === 0 ? [] : await this.#copies.apart(ledger, 1);
    this.apartName = first === undefined ? '' : `${first.kind} ${first.id}`;
    this.#isApartCounted = true;
  }
}

/** Null: what was copied is the beginning of what Postgres has. */
function reasonToStartOver(saved: CopyPosition | null, source: CopySource): string | null {
  if (saved === null) return 'nothing was copied yet';
  const { sequence, entry, users, cards } = saved.ahead ?? saved;
  if (source.pruned > saved.sequence) return 'the feed no longer has the next changes';
  const isOtherEntry = entry !== '' && source.entry !== '' && source.entry !== entry;
  const isOtherRow = source.userId !== users.id || source.cardId !== cards.id;
  return sequence > source.newest || isOtherEntry || isOtherRow ? 'Postgres was restored from an older copy' : null;
}
