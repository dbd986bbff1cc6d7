/**
 * One question as the decision sees it, whatever protocol it came by. A single instance per partition is reused for
 * every message: nothing is allocated on the common path. Texts are slices of `source` (the slab itself when the byte
 * reader read them in place, the reader's side buffer when JSON.parse did).
 */
import {
  Channel,
  type MessageType,
  MessageType as MessageTypes,
  type Protocol,
  Protocol as Protocols,
} from './codes.js';
import {
  CheckResult,
  clearSignals,
  Device,
  Initiator,
  Pin,
  Recurring,
  riskScoreAbsent,
  type Signals,
  Wallet,
} from './vocabulary.js';

/** A half-open range of bytes in Request.source; empty when the field is absent. */
export interface TextSlice {
  start: number;
  end: number;
}

/** Longest id, card token, original or merchant id in characters (Unicode code points). */
export const idLengthMax = 64;
/** Longest merchant name in characters; ISO 8583 DE43 has 40, processors send up to 100 or so. */
export const merchantNameLengthMax = 128;
/** Most texts that an answer echoes beside those of every protocol. */
const echoesMax = 3;
/** Largest amount of a message, in minor units: far above a card payment, far below 2^53 so that sums stay exact. */
export const amountMinorMax = 1_000_000_000_000_00;
/**
 * Most that an account's funds, holds and posted money may each come to, in minor units, below zero too. Sums of two of
 * them are still exact.
 */
export const fundsMinorMax = 4_000_000_000_000_000;
/** Most that a spend window may come to, in minor units: all that posted money moves within its bounds, and exact. */
export const windowMinorMax = 2 * fundsMinorMax;

/** Where Request.texts has each text; a protocol's own ones stand from `echoes` on. */
export const Text = { id: 0, card: 1, original: 2, merchantId: 3, merchantName: 4, at: 5, echoes: 6 } as const;

/** Identifiers of a message that are kept otherwise than they were sent, because one of them holds a card number. */
export interface HiddenIds {
  /** As sent, for the answer. */
  readonly sentId: TextSlice;
  readonly sentOriginal: TextSlice;
  /** The card as it is kept; Request.card is as it was sent, to be looked up. */
  readonly keptCard: TextSlice;
  /** The id, the original and the card as older keys would have kept them, newest first. */
  readonly olderIds: TextSlice[];
  readonly olderOriginals: TextSlice[];
  readonly olderCards: TextSlice[];
}

export class Request implements Signals {
  source: Uint8Array = new Uint8Array(0);
  type: MessageType = MessageTypes.authorization;
  /**
   * Of a revocation: the type of the question whose approval it revokes. Of an advice: the question that was answered
   * elsewhere. An authorization that this engine may have approved too keeps the hold that it took. An increment adds
   * to the hold of its original. 0: an advice names the whole of its hold. Of a clearing or reversal: authorization,
   * where this engine may have posted the purchase at once. The clearing then posts nothing, and the reversal takes it
   * back. Also, where only the books know what the original was:
   *
   * - of a clearing, clearing: what was posted at once, or reversed since or before, is not posted again. Reversal: the
   *   same, but the original may as well have been a hold.
   * - of a reversal, clearing: it takes back what is posted. Reversal: it releases a hold, and takes back what was
   *   posted at once or by the named clearing. The amount of both is what remains; without one nothing does.
   * - of a reversal, refund: it takes back a refund. The amount is what remains of it, see wholeMinor.
   *
   * 0 of every other message.
   */
  askedType: MessageType | 0 = 0;
  protocol: Protocol = Protocols.native;
  /** Minor units of `currency`, an integer 0 … 2^53−1; −1 when the message carries none. */
  amountMinor = -1;
  /** Of a reversal of a refund: what the refund came to, minor units; −1 where that is not said. */
  wholeMinor = -1;
  /**
   * A message that came ahead of its original is refused, so that its sender repeats it: the books could not keep what
   * it says until the original comes.
   */
  waitsForOriginal = false;
  /** packLetters() of the ISO 4217 alphabetic code; 0 when absent. */
  currency = 0;
  /** ISO 18245 merchant category code 0–9999; −1 when absent. */
  mcc = -1;
  /** packLetters() of the ISO 3166 alpha-2 code of the merchant; 0 when absent. */
  country = 0;
  channel: Channel = Channel.absent;
  /** The terminal can take less than it asked for. */
  partialAllowed = false;
  /** Last clearing: the rest of the hold is released. */
  final = true;
  /** Authorized and posted by this one message (single-message purchase): no clearing will follow. */
  capture = false;
  avs: CheckResult = CheckResult.absent;
  cvv: CheckResult = CheckResult.absent;
  threeDS: CheckResult = CheckResult.absent;
  pin: Pin = Pin.absent;
  wallet: Wallet = Wallet.absent;
  device: Device = Device.absent;
  recurring: Recurring = Recurring.absent;
  initiator: Initiator = Initiator.absent;
  riskScore = riskScoreAbsent;
  /** False of what an older release has journaled: it kept no signals, whatever the message said. */
  hasSignals = true;
  readonly id: TextSlice = { start: 0, end: 0 };
  /** Whose books are asked about: the card token, or the public id of the account that a ledger command names. */
  readonly card: TextSlice = { start: 0, end: 0 };
  /** Id of the authorization that this message follows; empty when absent. */
  readonly original: TextSlice = { start: 0, end: 0 };
  readonly merchantId: TextSlice = { start: 0, end: 0 };
  readonly merchantName: TextSlice = { start: 0, end: 0 };
  /** The merchant's own time as sent (RFC 3339); kept for the record, never used to decide. */
  readonly at: TextSlice = { start: 0, end: 0 };
  /**
   * Hash of fields that only the protocol knows but that belong to the question, so that
   * the same id with other content is a conflict. Unsigned 32 bits; 0 for the native form.
   */
  extraHash = 0;
  /**
   * Texts that only the protocol knows, and that its answer echoes from the same request: they need no place in the
   * journal. Each protocol numbers its own.
   */
  readonly echoes: readonly TextSlice[] = Array.from({ length: echoesMax }, () => ({ start: 0, end: 0 }));
  /** All of them, by Text. */
  readonly texts: readonly TextSlice[] = [
    this.id,
    this.card,
    this.original,
    this.merchantId,
    this.merchantName,
    this.at,
    ...this.echoes,
  ];
  /** Null: id, card and original are kept as they were sent, as nearly always. */
  hidden: HiddenIds | null = null;
  /** Fields that the protocol does not know, one bit each: see UnknownFields. */
  unknownFields = 0;

  /** Says that identifiers are kept otherwise than they were sent. @returns what to fill in */
  hide(): HiddenIds {
    const empty = (): TextSlice => ({ start: 0, end: 0 });
    this.hidden = {
      sentId: empty(),
      sentOriginal: empty(),
      keptCard: empty(),
      olderIds: [],
      olderOriginals: [],
      olderCards: [],
    };
    return this.hidden;
  }

  /** The card as the record has it. */
  get keptCard(): TextSlice {
    return this.hidden === null ? this.card : this.hidden.keptCard;
  }
  /** The id as the sender wrote it. */
  get sentId(): TextSlice {
    return this.hidden === null ? this.id : this.hidden.sentId;
  }
  /** The original as the sender wrote it. */
  get sentOriginal(): TextSlice {
    return this.hidden === null ? this.original : this.hidden.sentOriginal;
  }

  /** The account of a ledger command: it stands where other messages have their card, in the record too. */
  get account(): TextSlice {
    return this.card;
  }

  /** Back to "nothing was sent", before a reader fills it. */
  reset(source: Uint8Array, protocol: Protocol): void {
    this.source = source;
    this.protocol = protocol;
    this.type = MessageTypes.authorization;
    this.askedType = 0;
    this.amountMinor = -1;
    this.wholeMinor = -1;
    this.waitsForOriginal = false;
    this.currency = 0;
    this.mcc = -1;
    this.country = 0;
    this.channel = Channel.absent;
    this.partialAllowed = false;
    this.final = true;
    this.capture = false;
    clearSignals(this);
    this.hasSignals = true;
    this.extraHash = 0;
    this.hidden = null;
    this.unknownFields = 0;
    for (let index = 0; index < this.texts.length; index++) clear(this.texts[index]!);
  }
}

/** Whether a reversal that answers for such a question takes back what is posted, whatever the original was. */
export function takesBackPosted(askedType: Request['askedType']): boolean {
  return (
    askedType === MessageTypes.authorization || askedType === MessageTypes.clearing || askedType === MessageTypes.refund
  );
}

/** Whether the amount of such a reversal is what remains, and not what goes. */
export function saysRemainder(askedType: Request['askedType']): boolean {
  return askedType === MessageTypes.reversal || askedType === MessageTypes.clearing;
}

/** A text as a string, for the few that need one: it allocates. */
export function textOf(source: Uint8Array, { start, end }: TextSlice): string {
  return Buffer.from(source.buffer, source.byteOffset + start, end - start).toString();
}

function clear(slice: TextSlice): void {
  slice.start = 0;
  slice.end = 0;
}
