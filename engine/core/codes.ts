/**
 * Small codes of the domain: message types, channels, protocols, and the packed form of currency and country codes.
 * All are journaled: append only.
 */
export const MessageType = {
  authorization: 1,
  incremental: 2,
  reversal: 3,
  clearing: 4,
  refund: 5,
  verification: 6,
  balanceInquiry: 7,
  advice: 8,
  /** Internal: a hold whose lifetime ended is released. */
  expiry: 9,
  /** Internal: an approval that missed its deadline is revoked; its id counts as never answered. */
  revocation: 10,
  /** Ledger commands: money that enters or leaves an account, without a card and without a transaction. */
  deposit: 11,
  withdrawal: 12,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** Public names, indexed by MessageType; those that no processor sends are seen in histories. */
export const messageTypeNames = [
  '',
  'authorization',
  'incremental',
  'reversal',
  'clearing',
  'refund',
  'verification',
  'balance_inquiry',
  'advice',
  'expiry',
  'late',
  'deposit',
  'withdrawal',
] as const;

/** Facts decided elsewhere: always applied, never late, never refused for funds or limits. */
export function isFact(type: MessageType): boolean {
  return (
    type === MessageType.reversal ||
    type === MessageType.clearing ||
    type === MessageType.refund ||
    type === MessageType.advice
  );
}

/** Moves money in or out of an account on its owner's order; names the account, not a card. */
export function isLedgerCommand(type: MessageType): boolean {
  return type === MessageType.deposit || type === MessageType.withdrawal;
}

/**
 * Whether a message is decided however late it is, and never revoked. Facts have happened. No terminal waits for a
 * ledger command, and its money must not go back on its own. An authorization may have spent a deposit already, and a
 * withdrawal may have been paid out. A client that got a 503 asks again with the same id and gets the one answer.
 */
export function isNeverRevoked(type: MessageType): boolean {
  return isFact(type) || isLedgerCommand(type);
}

export const Channel = { absent: 0, chip: 1, contactless: 2, magstripe: 3, ecommerce: 4, manual: 5, atm: 6 } as const;
export type Channel = (typeof Channel)[keyof typeof Channel];
export const channelNames = ['', 'chip', 'contactless', 'magstripe', 'ecommerce', 'manual', 'atm'] as const;

/** Which codec answered: journaled so that a history says where a message came from. */
export const Protocol = {
  internal: 0,
  native: 1,
  marqeta: 2,
  ledger: 3,
  lithic: 4,
  /** Facts of Lithic's events. */
  lithicEvents: 5,
  stripe: 6,
  /** Facts of Stripe's events. */
  stripeEvents: 7,
  /** Facts of Marqeta's notifications. */
  marqetaEvents: 8,
  iso8583: 9,
} as const;
export type Protocol = (typeof Protocol)[keyof typeof Protocol];
/** Indexed by Protocol; a processor's events have its name. */
export const protocolNames = [
  'internal',
  'native',
  'marqeta',
  'ledger',
  'lithic',
  'lithic',
  'stripe',
  'stripe',
  'marqeta',
  'iso8583',
] as const;

/**
 * Upper-case letters as a base-27 number, A = 1: 'US' → 21·27+19, 'USD' → …·27+4. 0 means absent. Two letters stay
 * below 27², three below 27³ = 19,683, so every code fits 16 bits and two- and three-letter codes never collide.
 * @returns 0 when a character is not A–Z.
 */
export function packLetters(text: string): number {
  let packed = 0;
  for (let index = 0; index < text.length; index++) {
    const letter = text.charCodeAt(index) - 64;
    if (letter < 1 || letter > 26) return 0;
    packed = packed * 27 + letter;
  }
  return packed;
}

/** The letters of a packed code; '' for 0. */
export function unpackLetters(packed: number): string {
  let text = '';
  for (let rest = packed; rest > 0; rest = Math.floor(rest / 27)) text = String.fromCharCode(64 + (rest % 27)) + text;
  return text;
}

/**
 * Where a transaction (an authorization and everything that followed it) stands after a message. `none`: the message
 * touched no transaction (a decline of a follow-up, a balance inquiry).
 */
export const TransactionStatus = {
  none: 0,
  /** A hold is open, or a clearing that was not the last one came. */
  open: 1,
  /** The last clearing or a refund came; nothing is held. */
  completed: 2,
  reversed: 3,
  expired: 4,
  declined: 5,
  /** A reversal overtook its authorization: the id is spent before it arrived. */
  tombstone: 6,
} as const;
export type TransactionStatus = (typeof TransactionStatus)[keyof typeof TransactionStatus];
