/**
 * The decision on ledger commands: money in and out of an account on its owner's order. Pure, like decide(): the same
 * books and command give the same outcome. A command names an account and no card, so cards, users, limits and spend
 * windows have no say, and it opens no transaction.
 *
 * What a status means: an active account takes and gives. A frozen account still accepts deposits, because money on its
 * way must be able to arrive. It pays no withdrawals. A closed one does neither.
 */
import { type Accounts, Status } from './accounts.js';
import { MessageType } from './codes.js';
import type { Outcome } from './outcome.js';
import { Reason } from './reasons.js';
import { amountMinorMax, fundsMinorMax, type Request } from './request.js';

/** Decides a deposit or withdrawal on the account in `slot` and fills `outcome`. */
export function decideCommand(accounts: Accounts, slot: number, request: Request, outcome: Outcome): void {
  const { amountMinor } = request;
  outcome.reset();
  outcome.currency = accounts.currency(slot);
  outcome.amountMinor = amountMinor;
  outcome.reason = commandRefusal(accounts, slot, request);
  outcome.approved = outcome.reason === Reason.approved;
  if (outcome.approved) {
    outcome.approvedAmountMinor = amountMinor;
    outcome.fundsDelta = request.type === MessageType.deposit ? amountMinor : 0 - amountMinor;
  }
  outcome.availableMinor = accounts.available(slot) + outcome.fundsDelta;
  outcome.heldMinor = accounts.held(slot);
  outcome.postedMinor = accounts.posted(slot);
}

/** The first rule that refuses, in order of precedence, or approved. */
function commandRefusal(accounts: Accounts, slot: number, { type, amountMinor }: Request): Reason {
  const isDeposit = type === MessageType.deposit;
  const status = accounts.status(slot);
  if (isDeposit ? status === Status.closed : status !== Status.active) return Reason.accountInactive;
  if (amountMinor <= 0 || amountMinor > amountMinorMax) return Reason.amountInvalid;
  if (isDeposit) {
    // Amounts must stay exact however often a deposit comes.
    const most = Math.max(accounts.funds(slot), accounts.available(slot));
    return most + amountMinor > fundsMinorMax ? Reason.amountInvalid : Reason.approved;
  }
  return accounts.available(slot) >= amountMinor ? Reason.approved : Reason.insufficientFunds;
}
