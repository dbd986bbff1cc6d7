/**
 * What a message asks or reports, in the words of the core. A request places a hold or posts a purchase. An advice or a
 * reversal reports what has happened, and is acknowledged whatever becomes of it.
 */
import type { PanKeys } from '../../../platform/masking/hidden-ids.js';
import { channelOf } from './channels.js';
import {
  type Manner,
  type Meaning,
  type Names,
  otherOriginal,
  type PartitionMessage,
  partitionBytes,
} from './codec.js';
import type { LinkSettings } from './link-settings.js';
import { mccOf, merchantOf } from './merchant.js';
import type { IsoMessage } from './message.js';
import { keyOf, type Money, moneyOf, panOf, referenceOf } from './message-parts.js';
import { classOf, functionOf, IsoClass, IsoFunction } from './message-types.js';
import { type IdKind, type MessageKey, messageId } from './names.js';
import { originalDataOf, remainingOf, wholeOf } from './original-data.js';
import { acceptsPartial } from './partial-approval.js';
import { reportsApproval } from './results.js';
import { isRecent } from './transmission-time.js';

/** By what later messages may name this one, see KnownOriginals. */
export interface Reference {
  readonly id: string;
  /** DE 37, 11, 41 and 42 of that card; '': DE 37 is absent. */
  readonly retrieval: string;
  /** What the link has as the network's trace id, of that card; '': it has none. */
  readonly trace: string;
  /** Posted at once, not held. */
  readonly isPosted: boolean;
}

/** Finds what an earlier message of this link's card was, where DE 90 does not say it. */
export interface OriginalFinder {
  find(reference: Pick<Reference, 'retrieval' | 'trace'>): Reference | undefined;
}

/** What becomes of a message. */
export type Reading =
  | { readonly kind: 'decide'; readonly question: IsoQuestion }
  /** It reports what moves no money: acknowledged. */
  | { readonly kind: 'nothing' }
  /** A kind of transaction that is not served. */
  | { readonly kind: 'unsupported' }
  /** A field that is needed is absent or makes no sense. */
  | { readonly kind: 'fault'; readonly field: number };

export interface IsoQuestion {
  readonly message: PartitionMessage;
  readonly manner: Manner;
  /** Names under the older keys of PAN_KEY, and of the other message that the original may be. */
  readonly further: readonly Names[];
  /** Tokens of the card, under the newest key first. */
  readonly cards: readonly string[];
  readonly reference: Reference;
}

export function bytesOf({ message, manner, further }: IsoQuestion, card: string): Buffer {
  if (card === message.card) return partitionBytes(message, manner, further);
  // The card is known under an older key: the newest name of it takes that one's place among the others.
  const names = further.map((name) => (name.card === card ? { ...name, card: message.card } : name));
  return partitionBytes({ ...message, card }, manner, names);
}

/** A PIN was entered; whether it is right, an HSM has decided before. */
const pinBlock = 52;

const purchases = /^(?:0|1)[0-9]$/;
const refunds = /^2[06]$/;
const inquiries = /^3[01]$/;

const nothing: Reading = { kind: 'nothing' };
const unsupported: Reading = { kind: 'unsupported' };
const fault = (field: number): Reading => ({ kind: 'fault', field });

/** Reads a message of the classes 1, 2 and 4 that is a request or an advice. */
export function readQuestion(
  message: IsoMessage,
  link: LinkSettings,
  panKeys: PanKeys,
  originals: OriginalFinder,
  nowMs: number,
): Reading {
  const pan = panOf(message);
  if (pan === null) return fault(2);
  if (message.lengthOf(3) < 2) return fault(3);
  const key = keyOf(message, link.packager.version);
  if (key === null) return fault(message.has(11) ? 7 : 11);
  const money = moneyOf(message);
  if (typeof money === 'number') return fault(money);
  return new QuestionReader({ message, link, originals, nowMs, key, money, pan, cards: panKeys.panTokens(pan) }).read();
}

interface Parts {
  readonly message: IsoMessage;
  readonly link: LinkSettings;
  readonly originals: OriginalFinder;
  /** Wall clock milliseconds since 1970. */
  readonly nowMs: number;
  readonly key: MessageKey;
  readonly money: Money;
  readonly pan: string;
  readonly cards: readonly string[];
}

class QuestionReader {
  readonly #parts: Parts;
  readonly #type: string;
  readonly #class: number;
  readonly #isAdvice: boolean;
  readonly #reference: Pick<Reference, 'retrieval' | 'trace'>;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { message, link, cards } = parts;
    this.#type = message.text(3).slice(0, 2);
    this.#class = classOf(message.mti);
    this.#isAdvice = functionOf(message.mti) === IsoFunction.advice;
    this.#reference = referenceOf(message, link.traceField, cards[0]!);
  }

  read(): Reading {
    if (this.#class === IsoClass.reversal) return this.#reversal();
    if (this.#isAdvice) return this.#advice();
    return this.#request();
  }

  #request(): Reading {
    const { amountMinor } = this.#parts.money;
    const isFinancial = this.#class === IsoClass.financial;
    if (inquiries.test(this.#type)) return this.#decide('question', { type: 'balance_inquiry' });
    if (refunds.test(this.#type)) {
      // An authorization of a refund credits nothing yet: the money comes with a financial message.
      if (!isFinancial) return this.#decide('question', { type: 'verification' });
      return amountMinor > 0 ? this.#refund('question') : fault(4);
    }
    if (!purchases.test(this.#type)) return unsupported;
    if (amountMinor === 0) return this.#decide('question', { type: 'verification' });
    const partialAllowed = this.#takesPart() ? true : undefined;
    const purchase = { type: 'authorization', ...this.#amount(), partialAllowed } as const;
    return this.#decide('question', purchase, { meaning: isFinancial ? 'capture' : 'plain' });
  }

  /**
   * A refund names its purchase by original data elements only: they say the same at every engine, and after a restart,
   * so a repeat stays one.
   */
  #refund(kind: IdKind): Reading {
    return this.#decide(kind, { type: 'refund', ...this.#amount() }, {}, this.#namedByData());
  }

  #advice(): Reading {
    const { message, money } = this.#parts;
    if (!reportsApproval(message.text(39))) return nothing;
    const isFinancial = this.#class === IsoClass.financial;
    if (refunds.test(this.#type)) {
      return isFinancial && money.amountMinor > 0 ? this.#refund('advice') : nothing;
    }
    if (inquiries.test(this.#type)) return nothing;
    if (!purchases.test(this.#type)) return unsupported;
    const named = this.#original();
    if (money.amountMinor === 0) {
      // A completion of nothing ends the hold.
      return named === null ? nothing : this.#decide('advice', { type: 'reversal' }, {}, named);
    }
    const waitsForOriginal = named !== null && this.#isComing(named);
    // Without a name of it: the question with the same key, which the network has answered in our place.
    const original = named ?? { idsOf: [this.#ownQuestion], isPosted: true };
    const amount = this.#amount();
    if (!isFinancial) return this.#decide('advice', { type: 'advice', ...amount }, { waitsForOriginal }, original);
    const meaning = original.isPosted ? 'posted' : 'either';
    return this.#decide('advice', { type: 'clearing', ...amount }, { meaning, waitsForOriginal }, original);
  }

  #reversal(): Reading {
    const { message, link, money, key } = this.#parts;
    const { version } = link.packager;
    // Many hosts repeat the key of what they reverse in the reversal itself.
    const original = this.#original() ?? { idsOf: [this.#ownQuestion, this.#ownAdvice], isPosted: false, key };
    const remaining = remainingOf(message, version, money.amountMinor);
    const reversal = remaining === 0 ? {} : { ...this.#amount(), amount: remaining };
    // What remains of a message that is still to come, the books cannot keep.
    const waitsForOriginal = remaining > 0 && this.#isComing(original);
    if (refunds.test(this.#type)) {
      const wholeMinor = wholeOf(message, version, money.amountMinor);
      const reversed = original.key ?? key;
      // One reversal of a refund counts once, whatever its own key is: its purchase may have several refunds.
      const own = remaining === 0 ? reversed : { ...reversed, acquirerId: `${reversed.acquirerId}|${remaining}` };
      const manner = { meaning: 'refunded', waitsForOriginal, wholeMinor } as const;
      return this.#decide('reversal', { type: 'reversal', ...reversal }, manner, original, own);
    }
    const meaning = original.isPosted ? 'posted' : 'either';
    return this.#decide('reversal', { type: 'reversal', ...reversal }, { meaning, waitsForOriginal }, original);
  }

  /** In this order: the original data elements, the retrieval reference number with others, the network's trace id. */
  #original(): Original | null {
    const byData = this.#namedByData();
    const known = this.#parts.originals.find(this.#reference);
    const found = known === undefined ? null : { idsOf: [() => known.id], isPosted: known.isPosted };
    return byData ?? found;
  }

  #namedByData(): Original | null {
    const { message, link, key } = this.#parts;
    const data = originalDataOf(message, link.packager.version, key.acquirerId);
    if (data === null) return null;
    const kinds = data.kind === undefined ? (['question', 'advice'] as const) : [data.kind];
    const idsOf = kinds.map((kind) => (card: string) => messageId(card, kind, data.key));
    return { idsOf, isPosted: data.isPosted, key: data.key };
  }

  /** Whether the original may still be on its way, on another connection. */
  #isComing({ key }: Original): boolean {
    return key !== undefined && isRecent(key.transmittedAt, this.#parts.nowMs);
  }

  readonly #ownQuestion = (card: string): string => messageId(card, 'question', this.#parts.key);
  readonly #ownAdvice = (card: string): string => messageId(card, 'advice', this.#parts.key);

  #takesPart(): boolean {
    const { message, link } = this.#parts;
    // A part of the billing amount cannot be said in the currency of the purchase.
    if (message.has(6) || link.partialApproval === undefined) return false;
    return acceptsPartial(message, link.partialApproval);
  }

  #amount(): Pick<PartitionMessage, 'amount' | 'currency'> {
    const { amountMinor, currency } = this.#parts.money;
    return { amount: amountMinor, currency };
  }

  #decide(
    kind: IdKind,
    said: Omit<PartitionMessage, 'id' | 'card' | 'original'>,
    { meaning = 'plain' as Meaning, waitsForOriginal = false, wholeMinor = -1 }: Partial<Manner> = {},
    original: Original | null = null,
    key = this.#parts.key,
  ): Reading {
    const { message, link, cards, pan } = this.#parts;
    const is1993 = link.packager.version === 1993;
    const mcc = mccOf(message, is1993);
    const [originalOf, otherOf] = original?.idsOf ?? [];
    const namesOf = (card: string): Names => ({
      id: messageId(card, kind, key),
      card,
      original: originalOf?.(card) ?? '',
    });
    const { id, card, original: named } = namesOf(cards[0]!);
    const others = otherOf === undefined ? [] : cards.map((of) => otherOriginal(otherOf(of)));
    // A reversal is about what was bought then: its own words for the merchant add nothing.
    const about: Partial<PartitionMessage> =
      this.#class === IsoClass.reversal
        ? {}
        : {
            merchant: merchantOf(message, mcc, is1993, pan),
            channel: channelOf(message, this.#type, mcc, is1993),
            verification: message.has(pinBlock) ? { pin: 'entered' } : undefined,
          };
    return {
      kind: 'decide',
      question: {
        message: { id, card, original: named === '' ? undefined : named, ...said, ...about },
        manner: { meaning, waitsForOriginal, wholeMinor },
        further: [...cards.slice(1).map(namesOf), ...others],
        cards,
        reference: { ...this.#reference, id, isPosted: meaning === 'capture' || said.type === 'clearing' },
      },
    };
  }
}

/** What a later message is about. */
interface Original {
  /**
   * Ids of a card under one key of PAN_KEY, by its token. Where the message does not say which kind its original is, a
   * second one: the books have one of them.
   */
  readonly idsOf: readonly ((card: string) => string)[];
  /** It posts at once. False: it holds, or the message does not say it. */
  readonly isPosted: boolean;
  /** Undefined: this engine has seen the original. */
  readonly key?: MessageKey;
}
