/**
 * What each protocol is to the simulator: a network opens lives of payments and says their steps in its own words. A
 * further protocol is one file more with these two interfaces, and a line in index.ts.
 */
import type { Channel, Merchant, ProtocolName, Say } from '../story.js';

/** What came back, as far as the protocol says it. */
export interface Answer {
  /** HTTP status; of a protocol without it, what it comes to. */
  readonly status: number;
  /** For the trace: the protocol's own words. */
  readonly words: string;
  /** Undefined: a report was acknowledged, or the answer is none. */
  readonly approved?: boolean;
  /** Undefined: the protocol does not say it. */
  readonly approvedMinor?: number;
  readonly availableMinor?: number;
  /** What must be the same whenever the message is sent again. */
  readonly repeatable: string;
}

/** One message on its way to the engine. */
export interface Message {
  /** The protocol's name of it, for the trace. */
  readonly title: string;
  readonly amountMinor: number | null;
  /** It asks; otherwise it reports and may be delayed. */
  readonly isQuestion: boolean;
  /** Sends it, each time with a signature of its own. */
  send(): Promise<Answer>;
}

/** Sends a message, or keeps it for later. @returns null: kept */
export type Deliver = (message: Message) => Promise<Answer | null>;

/** One payment from its first message on. */
export interface Life {
  /** By which a later run goes on with it, see LifeOptions.id. */
  readonly id: string;
  /** Id of its transaction in the engine's books. */
  readonly transactionId: string;
  /**
   * Says a step: the messages that the processor sends for it, in order.
   * @returns the answer to the question, or the acknowledgement of the report; null: nothing was answered yet
   */
  play(say: Say, deliver: Deliver): Promise<Answer | null>;
}

export interface LifeOptions {
  readonly card: string;
  readonly channel: Channel;
  readonly merchant: Merchant;
  readonly currency: string;
  /** Of a life that an earlier run began; undefined: a new one. */
  readonly id?: string | undefined;
}

export interface Network {
  readonly protocol: ProtocolName;
  /** Why the protocol has no word for a step; null: it has one. */
  refuses(say: Say): string | null;
  open(options: LifeOptions): Life;
  /** Whether the words of an answer are those of a reason of the engine, such as `insufficient_funds`. */
  isReason(answer: Answer, reason: string): boolean;
  /** Ends what the network keeps open. */
  close?(): Promise<void>;
}
