/** The engine's own form: one message a step, each answered with a decision. */
import type { Say } from '../story.js';
import { newToken } from './ids.js';
import type { Answer, Deliver, Life, LifeOptions, Network } from './network.js';
import { basicHeader, type Credentials, type Port, plainAnswer, type Reply } from './port.js';

export class NativeNetwork implements Network {
  readonly protocol = 'native';
  readonly #port: Port;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(port: Port, credentials: Credentials) {
    this.#port = port;
    this.#headers = basicHeader(credentials);
  }

  refuses(): null {
    return null;
  }

  open(options: LifeOptions): Life {
    return new NativeLife(options, (body) => this.#port.post('/v1/authorizations', body, this.#headers));
  }

  isReason({ words }: Answer, reason: string): boolean {
    return words.split(' ')[0] === reason;
  }
}

class NativeLife implements Life {
  transactionId: string;
  readonly #options: LifeOptions;
  readonly #post: (body: string) => Promise<Reply>;
  #isOpen: boolean;

  constructor(options: LifeOptions, post: (body: string) => Promise<Reply>) {
    this.#options = options;
    this.#post = post;
    this.transactionId = options.id ?? newToken();
    this.#isOpen = options.id !== undefined;
  }

  get id(): string {
    return this.transactionId;
  }

  async play(say: Say, deliver: Deliver): Promise<Answer | null> {
    const { amountMinor: amount } = say;
    switch (say.verb) {
      case 'authorize':
        return this.#authorize(say, deliver);
      case 'purchase': {
        const answer = await this.#say(deliver, { type: 'authorization', amount }, true);
        if (answer?.approved === true) await this.#say(deliver, { type: 'clearing', amount, final: true });
        return answer;
      }
      case 'increment':
        return this.#say(deliver, { type: 'incremental', amount }, true);
      case 'verify':
        return this.#say(deliver, { type: 'verification' }, true);
      case 'inquire':
        return this.#say(deliver, { type: 'balance_inquiry' }, true);
      case 'stand_in':
        return this.#standIn(amount, deliver);
      case 'advise':
        return this.#say(deliver, { type: 'advice', amount });
      case 'reverse':
        return this.#say(deliver, { type: 'reversal', ...(amount === null ? {} : { amount }) });
      case 'expire':
        return this.#say(deliver, { type: 'reversal' });
      case 'clear':
        return this.#say(deliver, { type: 'clearing', amount, final: say.isFinal });
      case 'refund':
      case 'credit':
      case 'chargeback':
        return this.#say(deliver, { type: 'refund', amount });
    }
  }

  async #authorize(say: Say, deliver: Deliver): Promise<Answer | null> {
    const { amountMinor: amount, isPartialAllowed, outcome } = say;
    const partial = isPartialAllowed ? { partialAllowed: true } : {};
    const answer = await this.#say(deliver, { type: 'authorization', amount, ...partial }, true);
    if (outcome === 'lost') await this.#say(deliver, { type: 'reversal' });
    if (outcome === 'overruled' && answer?.approved !== true) await this.#standIn(amount, deliver);
    return answer;
  }

  /** What the engine declined is closed: a stand-in holds on its own. */
  #standIn(amount: number | null, deliver: Deliver): Promise<Answer | null> {
    if (this.#isOpen) this.transactionId = newToken();
    this.#isOpen = false;
    return this.#say(deliver, { type: 'advice', amount });
  }

  /** The first message of the life gives it its name; all others have one of their own. */
  #say(deliver: Deliver, message: { type: string } & Record<string, unknown>, isQuestion = false) {
    const { card, currency, merchant, channel } = this.#options;
    const isFirst = !this.#isOpen;
    this.#isOpen = true;
    const isBare = message.type === 'reversal' && message['amount'] === undefined;
    const body = JSON.stringify({
      id: isFirst ? this.transactionId : newToken(),
      ...message,
      card,
      ...(isBare ? {} : { currency }),
      ...(isFirst ? {} : { original: this.transactionId }),
      ...(isFirst ? { merchant, channel } : {}),
    });
    return deliver({
      title: message.type,
      amountMinor: (message['amount'] as number | null | undefined) ?? null,
      isQuestion,
      send: async () => answerOf(await this.#post(body)),
    });
  }
}

function answerOf(reply: Reply): Answer {
  const { status, text, json } = reply;
  const { approved, reason, detail } = json as { approved?: boolean; reason?: string; detail?: string };
  if (typeof approved !== 'boolean' || typeof reason !== 'string') return plainAnswer(reply);
  return {
    ...{ status, approved, words: detail === undefined || status !== 200 ? reason : `${reason} ${detail}` },
    // The time of an answer differs from one to the next.
    repeatable: text.replace(/,"responseTimeMs":[^,}]*/, ''),
    ...(typeof json['approvedAmount'] === 'number' ? { approvedMinor: json['approvedAmount'] } : {}),
    ...(typeof json['available'] === 'number' ? { availableMinor: json['available'] } : {}),
  };
}
