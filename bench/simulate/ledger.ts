/**
 * What a story is checked against: the customer whose cards it uses, and the books. program.ts gives one over the
 * account API and the ops port; the conformance suite has one over the database.
 */
import type { CardChange, CardPlan, ExpectedTransaction } from './story.js';

export interface Books {
  readonly funds: number;
  readonly available: number;
  readonly held: number;
  readonly posted: number;
}

export interface OpenedAccount {
  readonly id: string;
  readonly currency: string;
  /** Card tokens by the names of the story. */
  readonly cards: Readonly<Record<string, string>>;
}

export interface Ledger {
  /** An account with this money and these cards. @throws StoryError where it cannot be made */
  open(fundsMinor: number, cards: Readonly<Record<string, CardPlan>>): Promise<OpenedAccount>;
  /** Resolves when the change is in force on every engine. @throws StoryError where it cannot be made */
  change(account: OpenedAccount, card: string, change: CardChange): Promise<void>;
  /** As the engine has them now. */
  books(account: OpenedAccount): Promise<Books>;
  /** As it was settled; null: there is none yet; undefined: this ledger cannot read transactions. */
  transaction(account: OpenedAccount, id: string): Promise<ExpectedTransaction | null | undefined>;
}
