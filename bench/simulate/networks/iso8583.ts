/**
 * ISO 8583 over TCP, 1987 in ASCII behind two bytes of length: requests, advices and reversals of a network on its
 * link. A card is named by its number. Facts: docs/protocols/iso8583.md.
 */
import { reasonTable } from '../../../engine/core/reasons.js';
import { type IdKind, messageId } from '../../../engine/protocols/iso8583/names.js';
import { institutionId } from '../../../engine/protocols/iso8583/original-data-elements.js';
import { IsoClient, type IsoFields } from '../../../engine/testing/iso-client.js';
import type { Channel, Say, Verb } from '../story.js';
import type { Answer, Deliver, Life, LifeOptions, Message, Network } from './network.js';
import { EngineUnreachable } from './port.js';

const refused: Readonly<Partial<Record<Verb, string>>> = {
  increment: 'An ISO 8583 link reads an increment as an authorization of its own',
  expire: 'ISO 8583 has no message for a hold that lapses',
  chargeback: 'An ISO 8583 link carries no chargeback',
};
const acquirerId = '123456';
/** Names of messages that are remembered, so that the same one again goes out as a repeat. */
const askedMax = 10_000;
/** Where docs/protocols/iso8583.md shows that a terminal takes less: the tenth character of DE 60. */
const takesLess = '0000000001';

const entryModes: Readonly<Record<Channel, string>> = {
  chip: '051',
  contactless: '071',
  magstripe: '901',
  ecommerce: '811',
  manual: '011',
  atm: '051',
};

export interface IsoLinks {
  /** Of one link on each engine; messages go to all of them in turn. */
  readonly ports: readonly number[];
  /** The card token of a number: for the ids of transactions. */
  readonly tokenOf: (pan: string) => string;
}

export class Iso8583Network implements Network {
  readonly protocol = 'iso8583';
  readonly #links: IsoLinks;
  readonly #clients: (Promise<IsoClient> | undefined)[] = [];
  /** Answers on their way by the message's name: a client waits for one answer of a name at a time. */
  readonly #asked = new Map<string, Promise<unknown>>();
  #trace = Math.floor(Math.random() * 900_000);
  #next = 0;

  constructor(links: IsoLinks) {
    this.#links = links;
  }

  refuses({ verb, isFinal }: Say): string | null {
    if (verb === 'clear' && !isFinal) return 'A completion of ISO 8583 is the last clearing';
    return refused[verb] ?? null;
  }

  open(options: LifeOptions): Life {
    return new IsoLife(
      options,
      this.#links.tokenOf,
      (fields) => this.#exchange(fields),
      () => this.#nextTrace(),
    );
  }

  isReason({ words }: Answer, reason: string): boolean {
    if (reason === 'limit_exceeded' && words === '65') return true;
    return reasonTable.find(({ name }) => name === reason)?.responseCode === words;
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    for (const client of this.#clients) (await client?.catch(() => null))?.close();
  }

  #nextTrace(): string {
    this.#trace = (this.#trace % 999_999) + 1;
    return String(this.#trace).padStart(6, '0');
  }

  async #exchange(fields: IsoFields): Promise<IsoFields> {
    const name = `${fields[7]} ${fields[11]}`;
    const before = this.#asked.get(name);
    const asked = (async () => {
      // A message that is sent again is a repeat, by its type.
      if (before !== undefined) await before.catch(() => undefined);
      const mti = before === undefined ? fields.mti : `${fields.mti.slice(0, 3)}1`;
      const client = await this.#client();
      return client.ask({ ...fields, mti });
    })();
    this.#asked.set(name, asked);
    if (this.#asked.size > askedMax) this.#asked.delete(this.#asked.keys().next().value!);
    return asked.catch((error: unknown) => {
      throw new EngineUnreachable(`the ISO 8583 link does not answer: ${(error as Error).message}`);
    });
  }

  async #client(): Promise<IsoClient> {
    const { ports } = this.#links;
    const index = this.#next++ % ports.length;
    const known = await this.#clients[index]?.catch(() => undefined);
    if (known !== undefined && !known.isClosed) return known;
    const opened = IsoClient.open({ port: ports[index]! });
    this.#clients[index] = opened;
    return opened;
  }
}

class IsoLife implements Life {
  transactionId = '';
  readonly #options: LifeOptions;
  readonly #tokenOf: (pan: string) => string;
  readonly #exchange: (fields: IsoFields) => Promise<IsoFields>;
  readonly #nextTrace: () => string;
  /** DE 90 of what follows; '': no message came before. */
  #original = '';
  #heldMinor = 0;

  constructor(
    options: LifeOptions,
    tokenOf: (pan: string) => string,
    exchange: (fields: IsoFields) => Promise<IsoFields>,
    nextTrace: () => string,
  ) {
    this.#options = options;
    this.#tokenOf = tokenOf;
    this.#exchange = exchange;
    this.#nextTrace = nextTrace;
    this.#original = options.id ?? '';
  }

  get id(): string {
    return this.#original;
  }

  async play(say: Say, deliver: Deliver): Promise<Answer | null> {
    const amount = say.amountMinor ?? 0;
    const cash = this.#options.channel === 'atm' ? '010000' : '000000';
    switch (say.verb) {
      case 'authorize':
        return this.#authorize(say, amount, cash, deliver);
      case 'purchase':
        return this.#first(deliver, '0200', amount, { 3: cash });
      case 'verify':
        return this.#first(deliver, '0100', 0, { 3: '000000' });
      case 'inquire':
        return this.#first(deliver, '0100', 0, { 3: '310000' });
      case 'stand_in':
        this.#heldMinor = amount;
        return this.#first(deliver, '0120', amount, { 3: cash, 39: '00' });
      case 'advise':
        this.#heldMinor = amount;
        return this.#follow(deliver, '0120', amount, { 39: '00' });
      case 'reverse':
        return this.#reverse(say.amountMinor ?? this.#heldMinor, deliver);
      case 'clear':
        this.#heldMinor = 0;
        if (this.#original === '') return this.#first(deliver, '0220', amount, { 3: '000000', 39: '00' });
        return this.#follow(deliver, '0220', amount, { 39: '00' });
      case 'refund':
        return this.#credit(deliver, amount, '200000');
      case 'credit':
        return this.#credit(deliver, amount, '260000');
      case 'increment':
      case 'expire':
      case 'chargeback':
        throw new Error('a step that ISO 8583 has no word for');
    }
  }

  async #authorize(say: Say, amount: number, cash: string, deliver: Deliver): Promise<Answer | null> {
    const fields = this.#fields('0100', amount, { 3: cash, ...(say.isPartialAllowed ? { 60: takesLess } : {}) });
    const answer = await this.#opens(deliver, fields, 'question');
    if (answer?.approved === true) this.#heldMinor = answer.approvedMinor ?? amount;
    if (say.outcome === 'lost') await this.#reverse(this.#heldMinor || amount, deliver);
    if (say.outcome === 'overruled') {
      this.#heldMinor = amount;
      // The network's own answer to the question, by the same key.
      const advice = { ...fields, mti: '0120', 39: '00' };
      if (answer?.approved !== true) await this.#opens(deliver, advice, 'advice');
      else await this.#deliver(deliver, advice);
    }
    return answer;
  }

  #reverse(amount: number, deliver: Deliver): Promise<Answer | null> {
    const before = Math.max(this.#heldMinor, amount);
    const remains = Math.max(0, this.#heldMinor - amount);
    this.#heldMinor = remains;
    const replacement = `${digits(remains, 12)}000000000000C00000000C00000000`;
    return this.#follow(deliver, '0420', before, remains > 0 ? { 95: replacement } : {}, amount);
  }

  #credit(deliver: Deliver, amount: number, processingCode: string): Promise<Answer | null> {
    const credit = (more: Readonly<Record<number, string>>) =>
      this.#fields('0200', amount, { 3: processingCode, ...more });
    if (this.#original === '') return this.#opens(deliver, credit({}), 'question');
    return this.#deliver(deliver, credit({ 90: this.#original }));
  }

  #first(deliver: Deliver, mti: string, amount: number, more: Readonly<Record<number, string>>) {
    const isAdvice = mti[2] === '2';
    return this.#opens(deliver, this.#fields(mti, amount, more), isAdvice ? 'advice' : 'question');
  }

  #opens(deliver: Deliver, fields: IsoFields, kind: IdKind): Promise<Answer | null> {
    this.#original = `${fields.mti}${fields[11]}${fields[7]}${acquirerId.padStart(11, '0')}${'0'.repeat(11)}`;
    const key = { transmittedAt: fields[7]!, traceNumber: Number(fields[11]), acquirerId: institutionId(acquirerId) };
    this.transactionId = messageId(this.#tokenOf(this.#options.card), kind, key);
    return this.#deliver(deliver, fields);
  }

  #follow(deliver: Deliver, mti: string, amount: number, more: Readonly<Record<number, string>>, shown = amount) {
    return this.#deliver(deliver, this.#fields(mti, amount, { 3: '000000', 90: this.#original, ...more }), shown);
  }

  #fields(mti: string, amount: number, more: Readonly<Record<number, string>>): IsoFields {
    const { card, channel, merchant } = this.#options;
    const [month, day, time] = monthDayTime(new Date());
    const trace = this.#nextTrace();
    const name = merchant.name.toUpperCase().slice(0, 25).padEnd(25);
    return {
      ...{ mti, 2: card, 4: digits(amount, 12), 7: `${month}${day}${time}`, 11: trace, 12: time, 13: `${month}${day}` },
      ...{ 18: merchant.mcc, 22: entryModes[channel], 32: acquirerId, 37: `607309${trace}`, 41: 'TERM0007' },
      ...{ 42: merchant.id.slice(0, 15).padEnd(15), 43: `${name}${'SPRINGFIELD'.padEnd(13)}${merchant.country}` },
      49: '840',
      ...more,
    };
  }

  #deliver(deliver: Deliver, fields: IsoFields, shown = Number(fields[4])): Promise<Answer | null> {
    const isCredit = fields[3]!.startsWith('2');
    const isQuestion = fields.mti[2] === '0' && !isCredit;
    const message: Message = {
      title: isCredit ? `${fields.mti} credit` : fields.mti,
      amountMinor: shown,
      isQuestion,
      send: async () => answerOf(await this.#exchange(fields), isQuestion),
    };
    return deliver(message);
  }
}

/** DE 39 of an approval, of one in part, and of a verification without objection. */
const approvals = new Set(['00', '10', '85']);
const noDecision = '91';

function answerOf(fields: IsoFields, isQuestion: boolean): Answer {
  const code = fields[39] ?? '';
  const approved = approvals.has(code);
  const available = /^(?:.{20})*?..02...([CD])(\d{12})/.exec(fields[54] ?? '');
  return {
    // What HTTP would say: no decision, or a report that was not taken.
    status: code === noDecision ? 503 : isQuestion || approved ? 200 : 400,
    words: code,
    repeatable: JSON.stringify(fields),
    ...(isQuestion ? { approved, approvedMinor: approved ? Number(fields[4]) : 0 } : {}),
    ...(available === null ? {} : { availableMinor: (available[1] === 'D' ? -1 : 1) * Number(available[2]) }),
  };
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, '0');
}

function monthDayTime(now: Date): [month: string, day: string, time: string] {
  const text = now.toISOString();
  return [text.slice(5, 7), text.slice(8, 10), text.slice(11, 19).replaceAll(':', '')];
}
