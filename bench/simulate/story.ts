/**
 * What a story is made of: the lives of payments in words that no protocol owns, and what they must come to. Amounts
 * are minor units. The reader (story-reader.ts) makes stories from YAML; a network says their steps in its protocol.
 */

export const protocolNames = ['native', 'marqeta', 'lithic', 'stripe', 'iso8583'] as const;
export type ProtocolName = (typeof protocolNames)[number];

/** How an amount stands with a verb. */
type AmountRule = 'required' | 'all' | 'none';
/** Whether a step opens a life (`as`), goes on with one (`of`), or does either. */
type LifeRule = 'opens' | 'follows' | 'either';

interface VerbRule {
  readonly amount: AmountRule;
  readonly life: LifeRule;
  /** The network asks, and the engine decides. All other steps report what has happened. */
  readonly isQuestion: boolean;
  /** For `--explain`. */
  readonly means: string;
}

/** Every verb that sends messages. */
export const verbs = {
  authorize: { amount: 'required', life: 'opens', isQuestion: true, means: 'asks for a purchase, which is then held' },
  purchase: {
    amount: 'required',
    life: 'opens',
    isQuestion: true,
    means: 'asks for a purchase in one message, which is posted at once',
  },
  increment: { amount: 'required', life: 'follows', isQuestion: true, means: 'asks for more on top of what is held' },
  verify: { amount: 'none', life: 'opens', isQuestion: true, means: 'asks whether the card is good, for no amount' },
  inquire: { amount: 'none', life: 'opens', isQuestion: true, means: 'asks for the balance' },
  stand_in: {
    amount: 'required',
    life: 'opens',
    isQuestion: false,
    means: 'reports that the network approved a purchase without asking',
  },
  advise: { amount: 'required', life: 'follows', isQuestion: false, means: 'reports a new total of what is held' },
  reverse: { amount: 'all', life: 'follows', isQuestion: false, means: 'gives up a part of what is held, or `all`' },
  expire: { amount: 'none', life: 'follows', isQuestion: false, means: 'reports that the network let the hold lapse' },
  clear: {
    amount: 'required',
    life: 'either',
    isQuestion: false,
    means: 'posts; the last clearing unless `final: false`; a force post where it follows nothing',
  },
  refund: { amount: 'required', life: 'either', isQuestion: false, means: 'gives posted money back' },
  credit: { amount: 'required', life: 'opens', isQuestion: false, means: 'pays money to the card (original credit)' },
  chargeback: { amount: 'required', life: 'follows', isQuestion: false, means: 'gives disputed money back' },
} as const satisfies Readonly<Record<string, VerbRule>>;
export type Verb = keyof typeof verbs;
export const verbNames = Object.keys(verbs) as Verb[];
export const ruleOf = (verb: Verb): VerbRule => verbs[verb];

export const channels = ['chip', 'contactless', 'magstripe', 'ecommerce', 'manual', 'atm'] as const;
export type Channel = (typeof channels)[number];

export interface Merchant {
  readonly id: string;
  readonly name: string;
  readonly mcc: string;
  /** Two letters of ISO 3166. */
  readonly country: string;
}

/** What became of a question at the network, whatever the engine answered. */
export type Outcome =
  /** The network takes the answer. */
  | 'taken'
  /** The answer did not arrive: the network declined, and says so. */
  | 'lost'
  /** The network approved all the same, and says so. */
  | 'overruled';

/** A message of a life, or several where a processor asks and then reports. */
export interface Say {
  readonly verb: Verb;
  /** Null: all that is left, or the verb has none. */
  readonly amountMinor: number | null;
  readonly isFinal: boolean;
  readonly isPartialAllowed: boolean;
  readonly outcome: Outcome;
}

export type Place = { readonly file: string; readonly line: number };

/** What an answer must be like; what is absent may be anything. */
export interface ExpectedAnswer {
  readonly approved?: boolean;
  /** A reason of the engine, such as `insufficient_funds`. */
  readonly reason?: string;
  readonly amount?: number;
  readonly available?: number;
  readonly status?: number;
}

interface StepBase {
  readonly place: Place;
}

export interface SayStep extends StepBase {
  readonly kind: 'say';
  readonly say: Say;
  readonly life: string;
  readonly opens: boolean;
  readonly card: string;
  readonly channel: Channel;
  readonly merchant: Merchant;
  /** How often each message of the step is sent, all of them at once. */
  readonly times: number;
  /** Reports of the step wait for a `deliver`. */
  readonly isDelayed: boolean;
  readonly expect: ExpectedAnswer | null;
  /** What a protocol answers that ends differently. */
  readonly but: Readonly<Partial<Record<ProtocolName, ExpectedAnswer>>>;
  /** What a protocol does in its place; null: it sends nothing. */
  readonly instead: Readonly<Partial<Record<ProtocolName, Instead>>>;
}

export interface Instead {
  readonly say: Say | null;
  readonly because: string;
}

export interface DeliverStep extends StepBase {
  readonly kind: 'deliver';
  readonly order: DeliverOrder;
}
export const deliverOrders = ['in_order', 'reversed', 'shuffled'] as const;
export type DeliverOrder = (typeof deliverOrders)[number];

/** Changes since the story began, in minor units. */
export interface ExpectedBooks {
  readonly held: number;
  readonly posted: number;
}

export interface BooksStep extends StepBase {
  readonly kind: 'books';
  readonly books: ExpectedBooks;
  /** Of a protocol that differs. */
  readonly but: Readonly<Partial<Record<ProtocolName, ExpectedBooks>>>;
}

/** What becomes of a card in the middle of a story, in force on every engine before the next step. */
export interface ChangeStep extends StepBase {
  readonly kind: 'change';
  readonly card: string;
  readonly change: CardChange;
}
/** Limits replace all that the card has, as the account API takes them. */
export type CardChange =
  | { readonly status: CardPlan['status'] }
  | { readonly limits: Readonly<Record<string, unknown>> };

export type Step = SayStep | DeliverStep | BooksStep | ChangeStep;

export const transactionStatuses = ['pending', 'completed', 'reversed', 'expired', 'declined'] as const;
export interface ExpectedTransaction {
  readonly held: number;
  readonly posted: number;
  readonly refunded: number;
  readonly status: (typeof transactionStatuses)[number];
}
/** By the name of the life. */
export type ExpectedTransactions = Readonly<Record<string, ExpectedTransaction>>;

export interface CardPlan {
  readonly status: 'active' | 'frozen';
  /** As the account API takes them. */
  readonly limits: Readonly<Record<string, unknown>> | null;
}

/** Where a protocol ends differently for a reason of its own words. */
export interface Difference {
  readonly because: string;
  readonly books: ExpectedBooks | null;
  readonly transactions: ExpectedTransactions;
}

export interface Story {
  readonly name: string;
  readonly file: string;
  readonly about: string;
  readonly fundsMinor: number;
  readonly cards: Readonly<Record<string, CardPlan>>;
  readonly steps: readonly Step[];
  readonly books: ExpectedBooks;
  readonly transactions: ExpectedTransactions;
  readonly differs: Readonly<Partial<Record<ProtocolName, Difference>>>;
  /** Protocols that cannot tell the story, and why. */
  readonly without: Readonly<Partial<Record<ProtocolName, string>>>;
}

/** A story that cannot be read or played; the text says where and why. */
export class StoryError extends Error {
  override readonly name = 'StoryError';
}
