/** What docs/messages.md says of each reason: when it is given, and the way out. A test compares the names. */

interface ReasonWords {
  readonly when: string;
  readonly wayOut: string;
}

export const reasonWords: Readonly<Record<string, ReasonWords>> = {
  approved: { when: 'nothing speaks against it', wayOut: '' },
  card_not_found: { when: 'no card has this token', wayOut: 'correct the token' },
  card_inactive: { when: 'the card is frozen or closed', wayOut: 'unfreeze it (`PATCH /api/cards/:id`)' },
  card_expired: { when: 'the last day of the card is over, in the time zone of the account', wayOut: 'a new card' },
  user_inactive: { when: 'the user of the card is frozen or closed', wayOut: 'unfreeze the user' },
  account_inactive: { when: 'the account is frozen or closed', wayOut: 'unfreeze the account' },
  currency_mismatch: {
    when: 'the message names another currency than that of the account',
    wayOut: 'convert before the message',
  },
  amount_invalid: {
    when: 'the amount is 0 where one is needed, or more than books or windows count exactly',
    wayOut: 'correct the amount',
  },
  original_not_found: {
    when: 'an increment or reversal names no approved authorization of this card or account',
    wayOut: 'none for a reversal: it is remembered, and declines the authorization that it overtook',
  },
  original_closed: {
    when: 'the transaction is over: it was reversed, cleared for good, or reversed before it came',
    wayOut: 'a new authorization; a refund for posted money',
  },
  duplicate_conflict: {
    when: 'the id was used with other content, or names an older transaction',
    wayOut: 'a new id',
  },
  mcc_blocked: { when: 'a limit lists the category', wayOut: 'change the list of card, user or account' },
  merchant_blocked: {
    when: 'a limit lists the merchant, or the card is locked to another one',
    wayOut: 'change the list, or use another card',
  },
  country_blocked: { when: 'a limit lists the country', wayOut: 'change the list' },
  channel_blocked: { when: 'a limit lists the channel', wayOut: 'change the list' },
  verification_failed: {
    when:
      'a limit asks for a result that the question does not have, see [vocabulary](protocols/vocabulary.md#limits); ' +
      '`detail` names it, such as `card.verification.cvv`',
    wayOut: 'the purchase once more with the right data, or change the limit',
  },
  wallet_blocked: { when: 'a limit lists the wallet', wayOut: 'change the list' },
  recurring_blocked: { when: 'the purchase recurs, and a limit blocks that', wayOut: 'change the limit' },
  limit_exceeded: {
    when:
      'a single-use card is used again, or an amount or a count is beyond a limit of card, user or account; `detail` ' +
      'names it, such as `card.daily.amount`',
    wayOut: 'wait for the end of the window, or raise the limit',
  },
  insufficient_funds: { when: 'less is available than the amount', wayOut: 'a deposit, or a partial approval' },
  system_error: {
    when: 'the engine cannot confirm that it is up to date, or no decision was made in time (503)',
    wayOut: 'after a 503 the same id again; otherwise a new message, see the [runbook](runbook.md#stale-feed)',
  },
  overloaded: { when: 'too many messages wait (503)', wayOut: 'the same id again, a little later' },
};
