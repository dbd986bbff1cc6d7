/**
 * What a message asks or reports, in the words of the core. A request places a hold or posts a purchase. An advice or a
 * reversal reports what has happened, and is acknowledged whatever becomes of it.
 */
import type { PanKeys } from '../../../platform/masking/hidden-ids.js';
import { channelOf } from './channels.js';
import { type Meaning, type Names, type PartitionMessage, partitionBytes } from './codec.js';
import type { LinkSettings } from './link-settings.js';
import { mccOf, merchantOf } from './merchant.js';
import type { IsoMessage } from './message.js';
import { keyOf, type Money, moneyOf, panOf, referenceOf } from './message-parts.js';
import { classOf, functionOf, IsoClass, IsoFunction } from './message-types.js';
import { type IdKind, type MessageKey, messageId } from './names.js';
import { originalDataOf, remainingOf } from './original-data.js';
import { acceptsPartial } from './partial-approval.js';
import { reportsApproval } from './results.js';

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
  byId(id: string): Pick<Reference, 'isPosted'> | undefined;
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
  readonly meaning: Meaning;
  /** Names under the older keys of PAN_KEY. */
  readonly older: readonly Names[];
  /** Tokens of the card, under the newest key first. */
  readonly cards: readonly string[];
  readonly reference: Reference;
}

export function bytesOf({ message, meaning, older }: IsoQuestion, card: string): Buffer {
  if (card === message.card) return partitionBytes(message, meaning, older);
  // The card is known under an older key: the newest name of it takes that one's place among the others.
  const names = older.map((name) => (name.card === card ? { ...name, card: message.card } : name));
  return partitionBytes({ ...message, card }, meaning, names);
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
): Reading {
  const pan = panOf(message);
  if (pan === null) return fault(2);
  if (message.lengthOf(3) < 2) return fault(3);
  const key = keyOf(message, link.packager.version);
  if (key === null) return fault(message.has(11) ? 7 : 11);
  const money = moneyOf(message);
  if (typeof money === 'number') return fault(money);
  return new QuestionReader({ message, link, originals, key, money, pan, cards: panKeys.panTokens(pan) }).read();
}

interface Parts {
  readonly message: IsoMessage;
  readonly link: LinkSettings;
  readonly originals: OriginalFinder;
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
      return amountMinor > 0 ? this.#decide('question', { type: 'refund', ...this.#amount() }) : fault(4);
    }
    if (!purchases.test(this.#type)) return unsupported;
    if (amountMinor === 0) return this.#decide('question', { type: 'verification' });
    const partialAllowed = this.#takesPart() ? true : undefined;
    const purchase = { type: 'authorization', ...this.#amount(), partialAllowed } as const;
    return this.#decide('question', purchase, isFinancial ? 'capture' : 'plain');
  }

  #advice(): Reading {
    const { message, money } = this.#parts;
    if (!reportsApproval(message.text(39))) return nothing;
    const isFinancial = this.#class === IsoClass.financial;
    if (refunds.test(this.#type)) {
      if (!isFinancial || money.amountMinor === 0) return nothing;
      return this.#decide('advice', { type: 'refund', ...this.#amount() });
    }
    if (inquiries.test(this.#type)) return nothing;
    if (!purchases.test(this.#type)) return unsupported;
    const named = this.#original();
    // Without a name of it: the question with the same key, which the network has answered in our place.
    const original = named?.idOf ?? this.#ownQuestion;
    if (money.amountMinor === 0) {
      // A completion of nothing ends the hold.
      return named === null ? nothing : this.#decide('advice', { type: 'reversal' }, 'plain', original);
    }
    const amount = this.#amount();
    if (!isFinancial) return this.#decide('advice', { type: 'advice', ...amount }, 'plain', original);
    const isPosted = named === null || named.isPosted;
    return this.#decide('advice', { type: 'clearing', ...amount }, isPosted ? 'posted' : 'plain', original);
  }

  #reversal(): Reading {
    const { message, link, money } = this.#parts;
    // Many hosts repeat the key of what they reverse in the reversal itself.
    const { idOf, isPosted } = this.#original() ?? this.#ownOriginal();
    const remaining = remainingOf(message, link.packager.version, money.amountMinor);
    const reversal = { type: 'reversal' } as const;
    if (refunds.test(this.#type)) {
      const left = remaining === 0 ? {} : { ...this.#amount(), amount: remaining };
      return this.#decide('reversal', { ...reversal, ...left }, 'refunded', idOf);
    }
    if (remaining === 0) return this.#decide('reversal', reversal, isPosted ? 'posted' : 'plain', idOf);
    const amount = { ...this.#amount(), amount: remaining };
    return this.#decide('reversal', { ...reversal, ...amount }, isPosted ? 'postedRemains' : 'holdRemains', idOf);
  }

  /** In this order: the original data elements, the retrieval reference number with others, the network's trace id. */
  #original(): Original | null {
    const { message, link, key, cards, originals } = this.#parts;
    const data = originalDataOf(message, link.packager.version, key.acquirerId);
    const byData: Original | null =
      data === null ? null : { idOf: (card) => messageId(card, data.kind, data.key), isPosted: data.isPosted };
    // What it was is known better than what is said of it: its type may be zeros.
    const known = byData === null ? undefined : originals.byId(byData.idOf(cards[0]!));
    if (byData !== null && known !== undefined) return { ...byData, isPosted: known.isPosted };
    const found = originals.find(this.#reference);
    return found === undefined ? byData : { idOf: () => found.id, isPosted: found.isPosted };
  }

  #ownOriginal(): Original {
    const known = this.#parts.originals.byId(this.#ownQuestion(this.#parts.cards[0]!));
    return { idOf: this.#ownQuestion, isPosted: known?.isPosted ?? false };
  }

  readonly #ownQuestion = (card: string): string => messageId(card, 'question', this.#parts.key);

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
    meaning: Meaning = 'plain',
    originalOf: ((card: string) => string) | null = null,
  ): Reading {
    const { message, link, key, cards, pan } = this.#parts;
    const is1993 = link.packager.version === 1993;
    const mcc = mccOf(message, is1993);
    const namesOf = (card: string): Names => ({
      id: messageId(card, kind, key),
      card,
      original: originalOf?.(card) ?? '',
    });
    const { id, card, original } = namesOf(cards[0]!);
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
        message: { id, card, original: original === '' ? undefined : original, ...said, ...about },
        meaning,
        older: cards.slice(1).map(namesOf),
        cards,
        reference: { ...this.#reference, id, isPosted: meaning === 'capture' || said.type === 'clearing' },
      },
    };
  }
}

/** What a later message is about. */
interface Original {
  /** @param card the token of the card under one key of PAN_KEY */
  readonly idOf: (card: string) => string;
  readonly isPosted: boolean;
}
