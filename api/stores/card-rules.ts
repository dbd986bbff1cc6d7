/**
 * What a change of a card may do, for every store: active and frozen alternate, closed is for ever. Limits are replaced
 * as a whole; `{}` limits nothing.
 */
import type { Limits } from '../../engine/core/rules.js';

export type CardStatus = 'active' | 'frozen' | 'closed';

export interface CardChange {
  readonly status?: CardStatus;
  readonly name?: string;
  readonly limits?: Limits;
}

interface Changeable {
  readonly status: CardStatus;
  readonly name: string;
  readonly limits: Limits;
}

/** What becomes of a change. The store's answers carry the same words. */
export type Verdict = 'changed' | 'unchanged' | 'closed';

/** Judges a change. A closed card takes none but the one that says again that it is closed. */
export function judgeChange(card: Changeable, change: CardChange): Verdict {
  const isSame =
    (change.status ?? card.status) === card.status &&
    (change.name ?? card.name) === card.name &&
    (change.limits === undefined || canonicalJson(change.limits) === canonicalJson(card.limits));
  if (isSame) return 'unchanged';
  return card.status === 'closed' ? 'closed' : 'changed';
}

/** JSON with sorted keys: the same value gives the same text, whatever order a client or a database keeps. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([first], [second]) => (first < second ? -1 : 1)))
      : part,
  );
}
