/**
 * An id that is kept as a hash may have been kept under an older key, for PAN_KEY takes several. The same id has one
 * form for each key. The form that is known takes the place of the newest one, which stays among the others. While no
 * form is known, a lookup names all of them; what it finds nowhere is remembered under the newest key.
 */

import type { HiddenIds, Request, TextSlice } from '../../engine/core/request.js';
import { sameText } from '../../engine/core/same-question.js';
import type { Seen } from '../../engine/core/seen.js';
import type { Transactions } from '../../engine/core/transactions.js';
import type { AnswerMemory } from './answer-memory.js';
import { byteText } from './byte-text.js';
import type { TransactionFinder } from './transaction-finder.js';

/** Where an id may be known from: memory itself, and what lookups brought. */
export interface KnownIds {
  readonly seen: Seen;
  readonly transactions: Transactions;
  readonly recalled: Pick<AnswerMemory['recalled'], 'has'>;
  readonly roots: Pick<TransactionFinder['roots'], 'has'>;
}

/** Takes the forms of the id and of the original that are known here. */
export function chooseKnownForms(request: Request, hidden: HiddenIds, known: KnownIds): void {
  const { source } = request;
  const { seen, transactions, recalled, roots } = known;
  const isKnown = (form: TextSlice) => {
    if (seen.find(source, form.start, form.end) >= 0) return true;
    if (transactions.find(source, form.start, form.end) >= 0) return true;
    const key = byteText(source, form);
    return recalled.has(key) || roots.has(key);
  };
  choose(request.id, hidden.olderIds, isKnown);
  choose(request.original, hidden.olderOriginals, isKnown);
}

/** Takes the forms of the original and of the card that the record has: the same question was kept under its key. */
export function chooseRecordedForms(request: Request, hidden: HiddenIds, record: Request): void {
  const { source } = request;
  const isIn = (recorded: TextSlice) => (form: TextSlice) => sameText(source, form, record.source, recorded);
  choose(request.original, hidden.olderOriginals, isIn(record.original));
  choose(hidden.keptCard, hidden.olderCards, isIn(record.keptCard));
}

function choose(first: TextSlice, others: readonly TextSlice[], isRight: (form: TextSlice) => boolean): void {
  if (others.length === 0 || isRight(first)) return;
  const right = others.find(isRight);
  if (right === undefined) return;
  const { start, end } = first;
  first.start = right.start;
  first.end = right.end;
  right.start = start;
  right.end = end;
}
