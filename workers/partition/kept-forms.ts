/**
 * An id that is kept as a hash may have been kept under an older key: the form that is known here is taken. An id that
 * is not known here is looked up, and remembered, under the newest key.
 */
import type { HiddenIds, Request, TextSlice } from '../../engine/core/request.js';
import type { Seen } from '../../engine/core/seen.js';
import type { Transactions } from '../../engine/core/transactions.js';

export function chooseKeptForms(request: Request, hidden: HiddenIds, seen: Seen, transactions: Transactions): void {
  const { source } = request;
  const isKnown = ({ start, end }: TextSlice) =>
    seen.find(source, start, end) >= 0 || transactions.find(source, start, end) >= 0;
  chooseKeptForm(request.id, hidden.olderIds, isKnown);
  chooseKeptForm(request.original, hidden.olderOriginals, isKnown);
}

function chooseKeptForm(newest: TextSlice, older: readonly TextSlice[], isKnown: (form: TextSlice) => boolean): void {
  if (older.length === 0 || isKnown(newest)) return;
  const known = older.find(isKnown);
  if (known === undefined) return;
  newest.start = known.start;
  newest.end = known.end;
}
