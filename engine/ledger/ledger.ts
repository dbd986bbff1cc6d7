/**
 * The ledger as transports, ledger commands and the ops port see it. Which thread decides a message, and where the
 * books are kept, is the implementation's: memory-ledger.ts.
 */
import type { WindowUse } from '../core/spend.js';
import type { AccountBooks } from '../exchange/partition-task.js';
import type { SpendEntities } from '../lookups/database-accounts.js';
import type { Codec } from '../protocols/codec.js';
import type { DecisionView } from './decision-view.js';
import type { Waiter } from './waiter.js';

export interface AccountView extends AccountBooks {
  readonly id: string;
  readonly currency: string;
}

/** Null: not asked for, or there is none. */
export interface WindowsView {
  readonly card: WindowUse | null;
  readonly user: WindowUse | null;
  readonly account: WindowUse | null;
}

export interface Ledger {
  /**
   * Takes a message in. The waiter is answered or refused, during the call or by its deadline.
   * @param body read during the call only
   */
  submit(codec: Codec, body: Uint8Array, waiter: Waiter): void;
  /** Books of the accounts with those public ids, in that order; unknown ones are left out. */
  books(publicIds: readonly string[]): Promise<readonly AccountView[]>;
  /** Use of the spend windows now, on the local day in the account's zone. */
  windows(entities: SpendEntities): Promise<WindowsView>;
  /** The newest decision about that id, whichever partition made it; null: there is none. */
  decision(id: string): Promise<DecisionView | null>;
  /** Resolves when every message that was taken in is answered, or after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>;
}
