/** Writes what a batch decides into the journal's frame, and applies it to the books. */
import { applyOutcome, markRolling } from '../../engine/core/apply.js';
import { type Books, transactionAbsent } from '../../engine/core/books.js';
import type { Outcome } from '../../engine/core/outcome.js';
import { type RecordTrace, recordBytesMax, recordFixedBytes, writeRecord } from '../../engine/core/record.js';
import type { Request } from '../../engine/core/request.js';
import { traceBytesMax } from '../../engine/core/trace-format.js';
import { EntryKind, type Slab } from '../../engine/exchange/slab.js';
import { keptFormBytesMax } from '../../platform/masking/hidden-ids.js';
import type { AnswerMemory } from './answer-memory.js';
import type { Owner } from './owner.js';
import type { PartitionJournal } from './partition-journal.js';
import type { Root } from './root.js';

/**
 * A record has its fixed part, texts of the body or their hashes, which may be longer, a trace, a root id, a number.
 */
const recordOverheadBytes = recordFixedBytes + traceBytesMax + 256 + 8 + 3 * keptFormBytesMax;

export class Committer {
  readonly #journal: PartitionJournal;
  readonly #books: Books;
  readonly #answers: AnswerMemory;
  /** Where the next record of the batch goes in the frame, and how many the batch has. */
  #end = 0;
  #count = 0;
  #reserved = false;

  constructor(journal: PartitionJournal, books: Books, answers: AnswerMemory) {
    this.#journal = journal;
    this.#books = books;
    this.#answers = answers;
  }

  /** Of the last record. */
  get lastSequence(): number {
    return this.#journal.nextSequence + this.#count - 1;
  }

  /** Makes room for the records of a batch. @returns false when none of its messages can be decided now */
  begin(slab: Slab): boolean {
    const bytes = recordBytesAtMost(slab);
    const revokes = slab.count > 0 && slab.kind[0] === EntryKind.revocation;
    this.#reserved = bytes > 0 && this.#journal.reserve(bytes, revokes);
    this.#end = this.#journal.recordsStart;
    this.#count = 0;
    return bytes === 0 || this.#reserved;
  }

  /** The point of no return: from append() on what was approved may become owed at any moment. */
  end(slab: Slab): void {
    if (this.#count > 0) this.#journal.append(this.#end, this.#count, slab.sealedAtMs);
    else if (this.#reserved) this.#journal.release();
    slab.lastSequence = this.#journal.nextSequence - 1;
  }

  /**
   * Journals an outcome and applies it.
   * @param account slot, −1 when the card is unknown
   * @param transaction slot of the transaction that the message is about, or transactionAbsent
   * @param opensOver slot of the transaction that is over and whose name the outcome opens again, or transactionAbsent
   * @param root of `transaction`; cleared when the record is its own root
   * @param replaces slot in Seen of the record that this one replaces as the answer of its id; notFound for none
   * @param trace what the decision saw; null: it looked at nothing that the record does not have
   */
  commit(
    slab: Slab,
    index: number,
    request: Request,
    outcome: Outcome,
    owner: Owner,
    account: number,
    transaction: number,
    opensOver: number,
    root: Root,
    replaces: number,
    trace: RecordTrace | null = null,
  ): void {
    const journal = this.#journal;
    const sequence = journal.nextSequence + this.#count;
    // Another account's transaction does not exist for this card; a message that opens a transaction is its own root.
    const isOurs =
      transaction >= 0 && account >= 0 && this.#books.transactions.account(transaction) === owner.accountNumber;
    if (outcome.opensTransaction || !isOurs) root.clear();
    const offset = this.#end;
    const location = journal.frameLocation + offset;
    slab.location[index] = location;
    const opens = outcome.opensTransaction || outcome.tombstone;
    const moved = opens ? opensOver : isOurs ? transaction : transactionAbsent;
    markRolling(this.#books, outcome, account, owner);
    const { frame, view } = journal;
    const arrivalMs = slab.arrivalMs[index]!;
    this.#end += writeRecord(frame, view, offset, request, outcome, owner, arrivalMs, root.source, root, trace);
    this.#count++;
    applyOutcome(this.#books, request, outcome, account, moved, owner, sequence, arrivalMs);
    this.#answers.remember(request.source, request.id, sequence, location, replaces);
  }
}

function recordBytesAtMost(slab: Slab): number {
  let bytes = 0;
  for (let index = 0; index < slab.count; index++) {
    if (slab.kind[index] === EntryKind.rows) continue;
    const body = slab.end[index]! - slab.start[index]!;
    // An internal entry is an id, but its record repeats the question it is about.
    const isRequest = slab.kind[index]! < EntryKind.rows;
    bytes += isRequest ? Math.min(recordBytesMax, recordOverheadBytes + body) : recordBytesMax;
  }
  return bytes;
}
