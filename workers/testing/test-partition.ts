/**
 * The front of one partition, for tests. It puts steps of generated traffic as bytes into slabs, and runs them through
 * a real Partition on a real journal in memory. It looks missing rows up, and it can cut the power: the machine forgets
 * all unsynced bytes, the journal is replayed, and the traffic continues.
 */
import { CardType, type CardUse } from '../../engine/core/card-types.js';
import { MessageType, messageTypeNames, Protocol, packLetters, TransactionStatus } from '../../engine/core/codes.js';
import { hash64, hashHigh, hashLow } from '../../engine/core/hash.js';
import { assert, InvariantError } from '../../engine/core/invariant.js';
import { Level, levels } from '../../engine/core/limit-names.js';
import type {
  AccountRow,
  CardRow,
  PartitionRows,
  SpendRow,
  TransactionRow,
  UserRow,
} from '../../engine/core/partition-rows.js';
import type { Policy } from '../../engine/core/question.js';
import {
  RecordFlag,
  RecordOffset,
  readCardSpend,
  readRecordRoot,
  readUserSpend,
  recordFixedBytes,
} from '../../engine/core/record.js';
import { Spend } from '../../engine/core/spend.js';
import type { AccountBooks } from '../../engine/exchange/partition-task.js';
import { AnswerFlag, EntryFlag, EntryKind, EntryStatus, Slab } from '../../engine/exchange/slab.js';
import { needsAmount } from '../../engine/protocols/native/slow-reader.js';
import { ledgerCodec, nativeCodec } from '../../engine/protocols/testing/test-codecs.js';
import type { Step } from '../../engine/testing/generator.js';
import { accountName, isCommand, type Message, spendNumber } from '../../engine/testing/world.js';
import { replayJournal } from '../journal/journal-reader.js';
import { Partition } from '../partition/partition.js';
import { type Fixture, journalFixture } from './journal-fixture.js';
import { MemoryStorage } from './memory-storage.js';
import { SlowFrameSink } from './slow-sink.js';

/** Cards of accounts in euro; the others are in dollars. Amounts need a currency on the wire. */
const euroCards: readonly string[] = ['card-6', 'card-7', 'card-9'];
const expiresNever = 1_000_000;

/** What a partition is given: generated traffic, or the withdrawal of a message's approval by another engine. */
export type HostStep = (Step | { readonly kind: 'withdraw'; readonly message: Message }) & {
  /** Of another engine, with this mark. */
  readonly mark?: number;
};

/** What became of one step, in the order in which the partition came to it. */
export interface Handled {
  readonly step: HostStep;
  readonly arrivalMs: number;
  /** One of EntryStatus; 0 for steps that are not answered, noRoom where the front declines because memory is full. */
  readonly status: number;
  /** The answer's bytes as they leave; '' when there are none. */
  readonly body: string;
  readonly isRepeat: boolean;
  readonly isRevocable: boolean;
  /** Decided too late to be looked at. */
  readonly wasTooLate: boolean;
}

interface Waiting {
  readonly step: HostStep;
  readonly flags: number;
  /** What it asked for, to come before it. */
  readonly rows?: PartitionRows;
  /** How often that was looked up. */
  readonly lookups?: number;
}

/** Room for less than the traffic needs: what is not in memory is looked up in the books, as of the last settle(). */
export interface Cramped {
  readonly accounts: number;
  readonly users: number;
  readonly cards: number;
  readonly spendRows: number;
  /** Whether rows that were read earlier come (again) only now. */
  readonly isDelayed: () => boolean;
}

/** Whose spending counts; without a card where only the user's is looked for. */
interface Spender {
  readonly cardNumber?: number;
  readonly cardSpend?: number;
  readonly userNumber: number;
  readonly accountNumber: number;
}

/** A message that lacks something after so many lookups is refused. */
const lookupsMax = 4;
/** Rows of earlier lookups that may come again. */
const oldRowsMax = 20;

export class PartitionHost {
  readonly #policy: Policy;
  readonly #storage = new MemoryStorage();
  readonly #fixture: Fixture;
  readonly #slab = new Slab({ entries: 32, requestBytes: 32 * 1024 });
  readonly #configuration = new Map<string, PartitionRows>();
  /** Where the records of revocable answers stand. */
  readonly #locations = new Map<string, number>();
  /** Transactions as the books have them: what a partition may evict it must find here again. */
  readonly #settledTransactions = new Map<string, TransactionRow>();
  /** Ids that were sent, and the transaction that the answer named. */
  readonly #roots = new Map<string, string>();
  #transactions: number;
  #settledSequence = 0;
  /** Nothing up to it is revoked any more, but by a withdrawal. */
  #finalSequence = 0;
  #waiting: Waiting[] = [];
  #version = 0;
  /** How many frames the disk takes after each slab; null: the disk is never behind. */
  readonly #framesTaken: (() => number) | null;
  #sink: SlowFrameSink | null = null;
  readonly #cramped: Cramped | null;
  readonly #accounts = new Map<number, AccountRow>();
  readonly #users = new Map<number, UserRow>();
  readonly #cards = new Map<string, CardRow>();
  readonly #settledSpend = new Map<string, SpendRow>();
  #oldRows: PartitionRows[] = [];
  partition: Partition;

  /**
   * @param transactions how many transactions fit into memory; with few of them, settle() now and then
   * @param framesTaken asked after each slab: how many frames reach the disk before the next one
   * @param cramped null: everything but transactions fits into memory, and is never looked up
   */
  constructor(
    policy: Policy,
    transactions = 1024,
    framesTaken: (() => number) | null = null,
    cramped: Cramped | null = null,
  ) {
    this.#cramped = cramped;
    this.#framesTaken = framesTaken;
    this.#policy = policy;
    this.#transactions = transactions;
    this.#fixture = journalFixture(this.#storage, '/journal', {
      sizes: { segmentBytes: 128 * 1024, frameBytesMax: 64 * 1024, segmentsMax: 64 },
    });
    this.partition = this.#start();
  }

  /** Power fails once everything that was answered is on disk. All of it must come back. */
  restart(): void {
    this.#sink?.drain();
    this.#storage.crash(() => false);
    // Rows for the worker that is gone are read again (Lookups), and its revocations are lost (Lane).
    this.#oldRows = [];
    if (this.#cramped !== null) this.#locations.clear();
    this.#left = this.left;
    try {
      this.partition = this.#start();
    } catch (error) {
      // A transaction whose name was spent again left its place to another one, and a start reads both. The error says
      // what to do.
      if (!(error instanceof InvariantError) || !error.message.endsWith('start with a larger HOLDS_MAX')) throw error;
      this.#transactions *= 2;
      this.partition = this.#start();
    }
  }

  #left = { cards: 0, users: 0, accounts: 0, spend: 0, outdated: 0 };

  /** Rows that have left memory so far, and those that were refused because they were out of date. */
  get left() {
    const { books, cards, counts } = this.partition;
    const before = this.#left;
    return {
      cards: before.cards + cards.evictions,
      users: before.users + books.users.evictions,
      accounts: before.accounts + books.accounts.departures.count,
      spend: before.spend + books.spend.departures.count,
      outdated: before.outdated + counts.outdated,
    };
  }

  /** The books take over everything that was journaled: from now on any transaction may leave memory. */
  settle(): void {
    this.#sink?.drain();
    for (const id of this.#roots.keys()) {
      const row = this.#transactionInMemory(id);
      if (row !== null) this.#settledTransactions.set(id, row);
    }
    for (const row of this.#accounts.values()) {
      const books = this.#booksInMemory(row.number);
      if (books === null) continue;
      const { funds, held, posted } = books;
      this.#accounts.set(row.number, { ...row, funds, held, posted });
    }
    for (const [level, number] of this.#entities()) {
      const { spend } = this.partition.books;
      const windows = spend.use(level, number, 0);
      const use = level === Level.card ? spend.purchases(number) : null;
      if (windows !== null) this.#settledSpend.set(`${level} ${number}`, { level, number, ...windows, use });
    }
    this.#settledSequence = this.#fixture.progress.durableSequence;
  }

  /** All records so far, one behind the other, and where each begins. */
  journal(): { source: Uint8Array; offsets: readonly number[] } {
    const offsets: number[] = [];
    let end = 0;
    const records = this.#fixture.readAll();
    for (const { length } of records) {
      offsets.push(end);
      end += length;
    }
    return { source: Buffer.concat(records), offsets };
  }

  /** The transaction with that id, in memory or settled; null when there is none. */
  transaction(id: string): TransactionRow | null {
    return this.#transactionInMemory(id) ?? this.#settledTransactions.get(id) ?? null;
  }

  /** Books of an account, in memory or settled. */
  account(number: number): AccountBooks {
    const row = this.#accounts.get(number)!;
    return this.#booksInMemory(number) ?? { ...row, available: row.funds - row.held - row.posted };
  }

  /** What an entity has spent, in memory or settled; null: nothing. */
  spent(level: Level, number: number, day: number): { amounts: readonly number[]; counts: readonly number[] } | null {
    const use = this.partition.books.spend.use(level, number, day);
    const row = this.#settledSpend.get(`${level} ${number}`);
    if (use !== null || row === undefined) return use;
    const spend = new Spend(1);
    spend.load(level, number, row.day, row.amounts, row.counts);
    return spend.use(level, number, day);
  }

  /** What a card that is not virtual has bought, in memory or settled. */
  purchases(card: number): CardUse | null {
    const { spend } = this.partition.books;
    if (spend.find(Level.card, card) >= 0) return spend.purchases(card);
    return this.#settledSpend.get(`${Level.card} ${card}`)?.use ?? null;
  }

  #booksInMemory(number: number): AccountBooks | null {
    const { accounts } = this.partition.books;
    const slot = accounts.find(number);
    if (slot < 0) return null;
    return {
      funds: accounts.funds(slot),
      available: accounts.available(slot),
      held: accounts.held(slot),
      posted: accounts.posted(slot),
    };
  }

  #entities(): (readonly [Level, number])[] {
    return [
      ...[...this.#cards.values()].map(({ number, spendNumber = number }) => [Level.card, spendNumber] as const),
      ...this.#purses().map((number) => [Level.user, number] as const),
      ...[...this.#accounts.keys()].map((number) => [Level.account, number] as const),
    ];
  }

  /** Under which numbers users spend: once for each currency. */
  #purses(): number[] {
    return [...new Set([...this.#cards.values()].map((card) => this.#spendNumber(Level.user, card)))];
  }

  #spendNumber(level: Level, { cardNumber = 0, cardSpend = cardNumber, userNumber, accountNumber }: Spender): number {
    const { currency } = this.#accounts.get(accountNumber)!;
    return spendNumber(level, [cardSpend, userNumber, accountNumber][level]!, packLetters(currency));
  }

  /** The same, so late that nothing can be revoked any more: anything may leave memory. */
  settleFinally(): void {
    this.#locations.clear();
    this.settle();
  }

  #transactionInMemory(id: string): TransactionRow | null {
    const { transactions } = this.partition.books;
    const bytes = Buffer.from(id);
    const slot = transactions.find(bytes, 0, bytes.length);
    if (slot < 0) return null;
    return {
      id,
      askedId: id,
      accountNumber: transactions.account(slot),
      cardNumber: transactions.card(slot),
      cardSpend: transactions.cardSpend(slot),
      userNumber: transactions.user(slot),
      status: transactions.status(slot),
      held: transactions.held(slot),
      posted: transactions.posted(slot),
      refunded: transactions.refunded(slot),
      firstDay: transactions.firstDay(slot),
      newestDay: transactions.newestDay(slot),
      newestAmount: transactions.newestAmount(slot),
      expiresAtMs: transactions.expiresAtMs(slot),
    };
  }

  #start(): Partition {
    const { storage, progress: frames, sizes } = this.#fixture.options;
    this.#sink =
      this.#framesTaken === null
        ? null
        : new SlowFrameSink({ storage, partition: 0, progress: frames, nowMs: () => 0 }, sizes.frameBytesMax);
    const { writer } = this.#fixture.open(this.#sink ?? undefined);
    const codecs = [];
    codecs[Protocol.native] = nativeCodec;
    codecs[Protocol.ledger] = ledgerCodec;
    const room = this.#cramped ?? { accounts: 16, users: 16, cards: 64, spendRows: 256 };
    const size = { ...room, transactions: this.#transactions, seenIds: 4096 };
    const settled = () => this.#settledSequence;
    const final = () => this.#finalSequence;
    const partition = new Partition(size, this.#policy, writer, codecs, settled, undefined, final);
    if (this.#cramped !== null) return this.#restoreCramped(partition);
    for (const message of this.#configuration.values()) partition.takeRows(message);
    partition.takeRows({ seenComplete: true });
    const { options, progress } = this.#fixture;
    replayJournal(options, 1, progress.durableSequence, (bytes, view, offset, sequence, location) =>
      partition.replay(bytes, view, offset, sequence, location),
    );
    return partition;
  }

  /** As a worker does: what the tail touches as of the settled position, then the tail. */
  #restoreCramped(partition: Partition): Partition {
    const { options, progress } = this.#fixture;
    const root = { start: 0, end: 0 };
    const numbers = () => new Set<number>();
    const touched = { accounts: numbers(), users: numbers(), userSpend: numbers(), cards: numbers() };
    const transactions = new Set<string>();
    replayJournal(options, 1, progress.durableSequence, (bytes, view, offset, sequence, location) => {
      const idLength = view.getUint16(offset + RecordOffset.idLength, true);
      const start = offset + recordFixedBytes;
      if (sequence <= this.#settledSequence) {
        if (idLength === 0) return;
        // A record that revokes another has its id.
        const earlier = partition.seen.find(bytes, start, start + idLength);
        hash64(bytes, start, start + idLength);
        partition.seen.add(hashLow, hashHigh, sequence, location, earlier);
        return;
      }
      touched.accounts.add(view.getFloat64(offset + RecordOffset.accountNumber, true));
      touched.cards.add(readCardSpend(view, offset));
      touched.users.add(view.getFloat64(offset + RecordOffset.userNumber, true));
      touched.userSpend.add(readUserSpend(view, offset));
      const type = view.getUint8(offset + RecordOffset.type);
      const opensTransaction = (view.getUint16(offset + RecordOffset.flags, true) & RecordFlag.opensTransaction) !== 0;
      if (
        type === MessageType.authorization ||
        opensTransaction ||
        view.getUint8(offset + RecordOffset.transactionStatus) === TransactionStatus.none
      )
        return;
      readRecordRoot(view, offset, root);
      transactions.add(Buffer.from(bytes.subarray(root.start, root.end)).toString());
    });
    partition.restore({
      accounts: [...touched.accounts].flatMap((number) => this.#accounts.get(number) ?? []),
      users: [...touched.users].flatMap((number) => this.#users.get(number) ?? []),
      spend: [
        ...[...touched.cards].map((number) => [Level.card, number] as const),
        ...[...touched.userSpend].map((number) => [Level.user, number] as const),
        ...[...touched.accounts].map((number) => [Level.account, number] as const),
      ].flatMap(([level, number]) => this.#settledSpend.get(`${level} ${number}`) ?? []),
      transactions: [...transactions].flatMap((id) => this.#settledTransactions.get(id) ?? []),
      seenComplete: true,
    });
    replayJournal(
      options,
      this.#settledSequence + 1,
      progress.durableSequence,
      (bytes, view, offset, sequence, location) => partition.replay(bytes, view, offset, sequence, location),
    );
    return partition;
  }

  /**
   * Runs the steps as one slab, then what was missing as further ones.
   * @param nowMs arrival of all of them
   * @param tooLate the deadline has passed before the slab is sealed
   */
  run(steps: readonly HostStep[], nowMs: number, tooLate: boolean): Handled[] {
    const handled: Handled[] = [];
    // A revocation follows right after the slab with the approval, the one before or this one: later ones there are
    // none.
    handled.push(...this.#revoke(steps, nowMs));
    this.#locations.clear();
    this.#finalSequence = this.#slab.lastSequence;
    this.#waiting = steps.flatMap((step) => (step.kind === 'revoke' ? [] : [{ step, flags: flagsOf(step) }]));
    for (let round = 0; this.#waiting.length > 0; round++) {
      assert(round < 10, 'a message is sent again and again');
      handled.push(...this.#runOnce(nowMs, tooLate));
    }
    handled.push(...this.#revoke(steps, nowMs));
    return handled;
  }

  #revoke(steps: readonly HostStep[], nowMs: number): Handled[] {
    const revoked = steps.filter((step) => step.kind === 'revoke' && this.#locations.has(step.id));
    if (revoked.length === 0) return [];
    this.#waiting = revoked.map((step) => ({ step, flags: 0 }));
    return this.#runOnce(nowMs, false);
  }

  #runOnce(nowMs: number, tooLate: boolean): Handled[] {
    const slab = this.#slab;
    const entries: (Waiting | null)[] = [];
    slab.clear();
    const cramped = this.#cramped;
    // Revocations travel alone.
    const revokes = this.#waiting.some(({ step }) => step.kind === 'revoke');
    if (!revokes && cramped?.isDelayed() === true && this.#oldRows.length > 0) {
      slab.add(EntryKind.rows, 0, nowMs, Buffer.from(JSON.stringify(this.#described(this.#oldRows.shift()!))));
      entries.push(null);
    }
    for (const waiting of this.#waiting) {
      const entry = this.#entry(waiting.step);
      if (entry === null) continue;
      if (waiting.rows !== undefined) {
        if (this.#oldRows.length < oldRowsMax) this.#oldRows.push(waiting.rows);
        slab.add(EntryKind.rows, 0, nowMs, Buffer.from(JSON.stringify(waiting.rows)));
        entries.push(null);
      }
      slab.add(entry.kind, waiting.flags, nowMs, entry.bytes);
      entries.push(waiting);
    }
    this.#waiting = [];
    slab.seal(nowMs, tooLate ? 0 : 1000);
    this.partition.run(slab);
    for (let frames = this.#framesTaken?.() ?? 0; frames > 0; frames--) this.#sink?.step();
    return entries.flatMap((entry, index) => (entry === null ? [] : this.#take(entry, index, nowMs, tooLate)));
  }

  #entry(step: HostStep): { kind: number; bytes: Uint8Array } | null {
    switch (step.kind) {
      case 'message':
      case 'again':
        return { kind: protocolOf(step.message), bytes: bytesOf(step.message, step.mark) };
      case 'withdraw': {
        const bytes = Buffer.concat([Buffer.of(protocolOf(step.message)), bytesOf(step.message, step.mark)]);
        return { kind: EntryKind.withdrawal, bytes };
      }
      case 'expire':
        return { kind: EntryKind.expiry, bytes: Buffer.from(step.id) };
      case 'revoke': {
        const location = this.#locations.get(step.id);
        if (location === undefined) return null;
        this.#locations.delete(step.id);
        return { kind: EntryKind.revocation, bytes: new Uint8Array(new Float64Array([location]).buffer) };
      }
      default: {
        const message = this.#configure(step);
        return { kind: EntryKind.rows, bytes: Buffer.from(JSON.stringify(message)) };
      }
    }
  }

  #configure(step: Extract<Step, { kind: 'account' | 'user' | 'card' }>): PartitionRows {
    const version = ++this.#version;
    const common = { number: step.config.number, version, status: step.config.status ?? 0 };
    const limits = step.config.limits ?? null;
    let message: PartitionRows;
    if (step.kind === 'account') {
      const { currency, funds, timeZone = 'UTC', partialApproval = false } = step.config;
      const row = { ...common, currency, timeZone, partialApproval, limits, funds, held: 0, posted: 0 };
      message = { accounts: [row] };
      this.#accounts.set(row.number, { ...row, ...booksOf(this.#accounts.get(row.number) ?? row) });
    } else if (step.kind === 'user') {
      message = { users: [{ ...common, limits }] };
      this.#users.set(common.number, { ...common, limits });
    } else {
      const { token, expiresDay = expiresNever, account: accountNumber, user: userNumber } = step.config;
      const { type = CardType.virtual, spendNumber = common.number } = step.config;
      const row = { ...common, token, expiresDay, limits, accountNumber, userNumber, type, spendNumber };
      message = { cards: [row] };
      this.#cards.set(token, row);
    }
    // The feed changes what is in memory, and opens nothing.
    if (this.#cramped !== null) return { changes: { accounts: [], users: [], cards: [], ...message } };
    this.#configuration.set(`${step.kind} ${step.config.number}`, message);
    return message;
  }

  #take(waiting: Waiting, index: number, arrivalMs: number, tooLate: boolean): Handled[] {
    const slab = this.#slab;
    const { step } = waiting;
    const status = slab.status[index]!;
    const absent = needs[status];
    // Looked up and still not there: memory is full of what the books do not have yet. The front declines.
    const nothing = { body: '', isRepeat: false, isRevocable: false, wasTooLate: false };
    const full = { step, arrivalMs, status: EntryStatus.noRoom, ...nothing };
    const lookups = waiting.lookups ?? 0;
    if (status === EntryStatus.noRoom) {
      if (lookups >= lookupsMax) return [full];
      this.#waiting.push({ ...waiting, lookups: lookups + 1 });
      return [];
    }
    if (absent !== undefined) {
      if (lookups >= (this.#cramped === null ? 1 : lookupsMax)) return step.kind === 'expire' ? [] : [full];
      const asked = slab.answer.subarray(slab.answerStart[index]!, slab.answerEnd[index]!).toString();
      const rows = this.#cramped === null ? this.#rowsOf(status, asked) : this.#crampedRowsOf(status, asked);
      if (rows === null) this.#waiting.push({ step, flags: waiting.flags | absent, lookups });
      else this.#waiting.push({ step, flags: waiting.flags, rows, lookups: lookups + 1 });
      return [];
    }
    const flags = slab.answerFlags[index]!;
    const isRevocable = (flags & AnswerFlag.revocable) !== 0;
    if (isRevocable && (step.kind === 'message' || step.kind === 'again'))
      this.#locations.set(step.message.id, slab.location[index]!);
    const body = slab.answer.subarray(slab.answerStart[index]!, slab.answerEnd[index]!).toString();
    if (step.kind === 'message' || step.kind === 'again') this.#remember(step.message, body);
    const isRepeat = (flags & AnswerFlag.repeated) !== 0;
    return [{ step, arrivalMs, status, body, isRepeat, isRevocable, wasTooLate: tooLate }];
  }

  #rowsOf(status: number, asked: string): PartitionRows | null {
    return status === EntryStatus.lookupAccount ? this.#accountNamed(asked) : this.#settledTransaction(status, asked);
  }

  /** From the books, which stand where the last settle() left them. */
  #crampedRowsOf(status: number, asked: string): PartitionRows | null {
    if (status === EntryStatus.lookupAccount) {
      const row = [...this.#accounts.values()].find(({ number }) => accountName(number) === asked);
      return row === undefined ? null : { settled: this.#settledSequence, accounts: [{ ...row, publicId: asked }] };
    }
    if (status === EntryStatus.lookupOriginal) {
      const transaction = this.#settledTransaction(status, asked)?.transactions?.[0];
      if (transaction === undefined) return null;
      return { ...this.#booksOf(transaction), transactions: [transaction] };
    }
    const card = status === EntryStatus.lookupCard ? this.#cards.get(asked) : undefined;
    if (card === undefined) return null;
    const spender = { ...card, cardNumber: card.number, cardSpend: card.spendNumber ?? card.number };
    return { ...this.#booksOf(spender), cards: [card] };
  }

  #booksOf(spender: Spender): PartitionRows {
    const entities = levels.map((level) => {
      const number = this.#spendNumber(level, spender);
      return { level, number, key: `${level} ${number}` };
    });
    return {
      settled: this.#settledSequence,
      accounts: [this.#accounts.get(spender.accountNumber)!],
      users: [this.#users.get(spender.userNumber)!],
      spend: entities.flatMap(({ key }) => this.#settledSpend.get(key) ?? []),
      unspent: entities.filter(({ key }) => !this.#settledSpend.has(key)),
    };
  }

  /** The rows with reference data as it is now: that older ones are read again is the front's part (LookupGuard). */
  #described(rows: PartitionRows): PartitionRows {
    return {
      ...rows,
      accounts: (rows.accounts ?? []).map((row) => ({ ...this.#accounts.get(row.number)!, ...booksOf(row) })),
      users: (rows.users ?? []).map(({ number }) => this.#users.get(number)!),
      cards: (rows.cards ?? []).map(({ token }) => this.#cards.get(token)!),
    };
  }

  #settledTransaction(status: number, asked: string): PartitionRows | null {
    if (status !== EntryStatus.lookupOriginal) return null;
    // As in Postgres: a transaction of that name comes before the one that a later message of that id belongs to.
    const row = this.#settledTransactions.get(asked) ?? this.#settledTransactions.get(this.#roots.get(asked) ?? asked);
    return row === undefined ? null : { transactions: [{ ...row, askedId: asked }] };
  }

  /** Its reference data, and funds that are out of date by now: what is in memory is newer and must stay. */
  #accountNamed(name: string): PartitionRows | null {
    for (const { accounts = [] } of this.#configuration.values()) {
      for (const row of accounts) {
        if (accountName(row.number) === name) return { accounts: [{ ...row, publicId: name }] };
      }
    }
    return null;
  }

  #remember(message: Message, body: string): void {
    if (isCommand(message)) return;
    const { approved, authorizationId } = body === '' ? {} : JSON.parse(body);
    if (approved === true) this.#roots.set(message.id, authorizationId);
    // A tombstone has the name of its original; a conflict says nothing of the first answer.
    for (const id of [message.id, message.original]) {
      if (id !== undefined && !this.#roots.has(id)) this.#roots.set(id, id);
    }
  }
}

function booksOf({ funds, held, posted }: AccountRow) {
  return { funds, held, posted };
}

const needs: Readonly<Record<number, number>> = {
  [EntryStatus.lookupCard]: EntryFlag.cardAbsent,
  [EntryStatus.lookupSeen]: EntryFlag.seenAbsent,
  [EntryStatus.lookupOriginal]: EntryFlag.originalAbsent,
  [EntryStatus.lookupAccount]: EntryFlag.accountAbsent,
};

function flagsOf({ kind, mark }: HostStep): number {
  return mark === undefined || kind === 'withdraw' ? 0 : EntryFlag.marked;
}

function protocolOf(message: Message): number {
  return isCommand(message) ? Protocol.ledger : Protocol.native;
}

function bytesOf(message: Message, mark?: number): Buffer {
  const bytes = Buffer.from(JSON.stringify(isCommand(message) ? commandOf(message) : bodyOf(message)));
  if (mark === undefined) return bytes;
  return Buffer.concat([bytes, new Uint8Array(new Float64Array([mark]).buffer)]);
}

function commandOf({ id, type, card: account, amount }: Message): object {
  return { id, type, account, amount };
}

function signalsOf({ avs, cvv, threeDS, wallet, recurring }: Message): object {
  const verification = {
    ...(avs === undefined ? {} : { avs }),
    ...(cvv === undefined ? {} : { cvv }),
    ...(threeDS === undefined ? {} : { threeDS }),
  };
  return {
    verification,
    ...(wallet === undefined ? {} : { wallet: { type: wallet } }),
    ...(recurring === undefined ? {} : { recurring }),
  };
}

/** The native form of a message. */
function bodyOf(message: Message): object {
  const { id, type, card, amount, original, partialAllowed, final, channel } = message;
  const currency = currencyOf(message);
  return {
    id,
    type,
    card,
    ...(amount === undefined ? {} : { amount }),
    ...(currency === undefined ? {} : { currency }),
    ...(original === undefined ? {} : { original }),
    merchant: {
      ...(message.merchantId === undefined ? {} : { id: message.merchantId }),
      ...(message.mcc === undefined ? {} : { mcc: String(message.mcc).padStart(4, '0') }),
      ...(message.country === undefined ? {} : { country: message.country }),
    },
    ...(channel === undefined ? {} : { channel }),
    ...signalsOf(message),
    ...(partialAllowed === undefined ? {} : { partialAllowed }),
    ...(final === undefined ? {} : { final }),
  };
}

function currencyOf(message: Message): string | undefined {
  if (message.currency !== undefined) return message.currency;
  if (!needsAmount(messageTypeNames.indexOf(message.type) as MessageType)) return undefined;
  return euroCards.includes(message.card) ? 'EUR' : 'USD';
}

/** A message as it reads on the wire: with the currency that its amount needs, and without what the form cannot say. */
export function asSent(message: Message): Message {
  if (isCommand(message)) {
    const { id, type, card, amount = 0 } = message;
    return { id, type, card, amount };
  }
  const currency = currencyOf(message);
  return { ...message, capture: false, ...(currency === undefined ? {} : { currency }) };
}
