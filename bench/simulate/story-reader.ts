/**
 * Reads a story from YAML. Everything is checked before the first message: names of lives, amounts, what each verb
 * takes. The first fault ends the reading with file, line and field.
 */
import { reasonTable } from '../../engine/core/reasons.js';
import {
  type CardPlan,
  type ChangeStep,
  type Channel,
  channels,
  type Difference,
  deliverOrders,
  type ExpectedAnswer,
  type ExpectedBooks,
  type ExpectedTransaction,
  type ExpectedTransactions,
  type Instead,
  type Merchant,
  type Outcome,
  type ProtocolName,
  protocolNames,
  ruleOf,
  type Say,
  type SayStep,
  type Step,
  type Story,
  transactionStatuses,
  type Verb,
  verbNames,
} from './story.js';
import { YamlField } from './yaml-fields.js';

/** More than any card payment, and exact in every protocol. */
export const amountMinorMax = 100_000_000_00;
/** Beyond this a step is a load, not a story. */
export const timesMax = 200;
/** A life of a payment has some ten messages. */
const stepsMax = 500;
const fundsDefaultMinor = 100_000;
const nameShape = /^[a-z][a-z0-9_-]{0,39}$/;

const storyFields = [
  ...['about', 'funds', 'merchant', 'channel', 'cards', 'steps', 'books', 'transactions', 'differs', 'without'],
];
/** Steps that change a card. */
const changeWords = ['freeze', 'unfreeze', 'limits'] as const;
const optionFields = ['final', 'partial', 'outcome'];
const stepFields = [
  ...verbNames,
  ...optionFields,
  ...changeWords,
  ...['deliver', 'books', 'as', 'of', 'card', 'channel', 'merchant', 'times', 'delayed', 'expect', 'but', 'instead'],
];
const merchantDefault: Merchant = { id: 'SHOP00000000042', name: 'Corner Grocer', mcc: '5411', country: 'US' };

type Members = ReadonlyMap<string, YamlField>;

/**
 * @param file as errors name it
 * @param name of the story, which is that of its file
 * @throws StoryError
 */
export function readStory(file: string, name: string, text: string): Story {
  const root = YamlField.parse(file, text);
  const members = root.members(storyFields);
  for (const needed of ['about', 'steps', 'books']) {
    if (!members.has(needed)) throw root.error(`has no ${needed}`);
  }
  const cards = readCards(members.get('cards'));
  const defaults = {
    merchant: readMerchant(members.get('merchant'), merchantDefault),
    channel: members.get('channel')?.word(channels) ?? 'chip',
    cards,
  };
  const differs = perProtocol(members.get('differs'), readDifference);
  const without = perProtocol(members.get('without'), (field) => field.text(400));
  const steps = new StepReader(file, defaults).read(members.get('steps')!);
  checkReasons(members.get('steps')!, steps, differs);
  const lives = new Set(steps.flatMap((step) => (step.kind === 'say' ? [step.life] : [])));
  const story: Story = {
    ...{ name, file, cards, steps, differs, without },
    about: members.get('about')!.text(),
    fundsMinor: members.get('funds')?.integer(0, amountMinorMax) ?? fundsDefaultMinor,
    books: readBooks(members.get('books')!),
    transactions: readTransactions(members.get('transactions')),
  };
  for (const field of [members, ...differencesOf(members.get('differs'))]) {
    for (const [life, at] of field.get('transactions')?.members(null) ?? []) {
      if (!lives.has(life)) throw at.error('names no life of the story');
    }
  }
  return story;
}

function differencesOf(field: YamlField | undefined): Members[] {
  return [...(field?.members(null).values() ?? [])].map((difference) => difference.members(null));
}

/** An answer or an end of its own needs a reason of the story. */
function checkReasons(field: YamlField, steps: readonly Step[], differs: Story['differs']): void {
  const fields = field.list();
  for (const [index, step] of steps.entries()) {
    if (step.kind === 'deliver' || step.kind === 'change') continue;
    for (const protocol of Object.keys(step.but) as ProtocolName[]) {
      if (differs[protocol] === undefined) {
        throw fields[index]!.error(`has an answer of ${protocol}: say why in differs.${protocol}.because`);
      }
    }
  }
}

interface StepDefaults {
  readonly merchant: Merchant;
  readonly channel: Channel;
  readonly cards: Readonly<Record<string, CardPlan>>;
}

type LifePlan = Pick<SayStep, 'card' | 'merchant' | 'channel'>;

class StepReader {
  readonly #file: string;
  readonly #defaults: StepDefaults;
  /** Lives that a step before opened, each with what all its steps have in common. */
  readonly #lives = new Map<string, LifePlan>();

  constructor(file: string, defaults: StepDefaults) {
    this.#file = file;
    this.#defaults = defaults;
  }

  read(field: YamlField): Step[] {
    const list = field.list();
    if (list.length === 0 || list.length > stepsMax) throw field.error(`must have 1 to ${stepsMax} steps`);
    return list.map((step, index) => this.#step(step, index));
  }

  #step(field: YamlField, index: number): Step {
    const members = field.members(stepFields);
    const place = { file: this.#file, line: field.line };
    const deliver = members.get('deliver');
    if (deliver !== undefined) {
      only(members, ['deliver']);
      return { kind: 'deliver', place, order: deliver.word(deliverOrders) };
    }
    const books = members.get('books');
    if (books !== undefined) {
      only(members, ['books', 'but']);
      return { kind: 'books', place, books: readBooks(books), but: perProtocol(members.get('but'), readBooks) };
    }
    const change = this.#change(members);
    if (change !== null) return { kind: 'change', place, ...change };
    const say = readSay(members);
    if (say === null) {
      const others = ['deliver', 'books', ...changeWords].join(', ');
      throw field.error(`says nothing: it needs one of ${verbNames.join(', ')}, ${others}`);
    }
    const { life, opens, plan } = this.#life(field, members, say.verb, index);
    return {
      ...{ kind: 'say', place, say, life, opens, ...plan },
      times: members.get('times')?.integer(1, timesMax) ?? 1,
      isDelayed: members.get('delayed')?.flag() ?? false,
      expect: readExpect(members.get('expect')),
      but: perProtocol(members.get('but'), (answer) => readExpect(answer)!),
      instead: perProtocol(members.get('instead'), readInstead),
    };
  }

  /** Null: the step changes no card. */
  #change(members: Members): Pick<ChangeStep, 'card' | 'change'> | null {
    const word = changeWords.find((name) => members.has(name));
    if (word === undefined) return null;
    const field = members.get(word)!;
    const cards = Object.keys(this.#defaults.cards);
    if (word !== 'limits') {
      only(members, [word]);
      return { card: field.word(cards), change: { status: word === 'freeze' ? 'frozen' : 'active' } };
    }
    only(members, ['limits', 'card']);
    if (!field.isMap) throw field.error('must be a map, as the account API takes it');
    const limits = field.value() as Record<string, unknown>;
    return { card: members.get('card')?.word(cards) ?? cards[0]!, change: { limits } };
  }

  #life(field: YamlField, members: Members, verb: Verb, index: number) {
    const { life: rule } = ruleOf(verb);
    const [as, of] = [members.get('as'), members.get('of')];
    // A stand-in may overrule what the engine declined: it then goes on with that life.
    if (of !== undefined && rule === 'opens' && verb !== 'stand_in') throw of.error(`does not go with ${verb}`);
    if (as !== undefined && (rule === 'follows' || of !== undefined)) {
      throw as.error(rule === 'follows' ? `does not go with ${verb}: say of` : 'does not go with of');
    }
    if (of !== undefined) {
      const plan = this.#lives.get(of.text());
      if (plan === undefined) {
        const known = [...this.#lives.keys()].join(', ');
        throw of.error(`names no life that a step before opened${known === '' ? '' : `: there are ${known}`}`);
      }
      for (const name of ['card', 'merchant', 'channel']) {
        if (members.has(name)) throw members.get(name)!.error('belongs to the step that opens the life');
      }
      return { life: of.text(), opens: false, plan };
    }
    if (rule === 'follows') throw field.error(`needs of: the life that ${verb} goes on with`);
    const life = as?.text() ?? `step-${index + 1}`;
    if (!nameShape.test(life)) throw as!.error('must be lower-case letters, digits, _ or -, at most 40');
    if (this.#lives.has(life)) throw as!.error(`names the life ${life}, which a step before opened`);
    const card = members.get('card')?.word(Object.keys(this.#defaults.cards)) ?? Object.keys(this.#defaults.cards)[0]!;
    const merchant = readMerchant(members.get('merchant'), this.#defaults.merchant);
    const plan = { card, merchant, channel: members.get('channel')?.word(channels) ?? this.#defaults.channel };
    this.#lives.set(life, plan);
    return { life, opens: true, plan };
  }
}

function only(members: Members, names: readonly string[]): void {
  for (const [name, field] of members) if (!names.includes(name)) throw field.error(`does not go with ${names[0]}`);
}

/** Null: no verb is there. */
function readSay(members: Members): Say | null {
  const [verb, second] = verbNames.filter((name) => members.has(name));
  if (second !== undefined) throw members.get(second)!.error(`does not go with ${verb}: one verb a step`);
  if (verb === undefined) return null;
  for (const [option, verbsOf] of [
    ['final', ['clear']],
    ['partial', ['authorize']],
    ['outcome', ['authorize']],
  ] as const) {
    if (members.has(option) && !(verbsOf as readonly string[]).includes(verb)) {
      throw members.get(option)!.error(`does not go with ${verb}`);
    }
  }
  const outcomes: readonly Outcome[] = ['taken', 'lost', 'overruled'];
  return {
    verb,
    amountMinor: readAmount(members.get(verb)!, verb),
    isFinal: members.get('final')?.flag() ?? true,
    isPartialAllowed: members.get('partial')?.flag() ?? false,
    outcome: members.get('outcome')?.word(outcomes) ?? 'taken',
  };
}

function readAmount(field: YamlField, verb: Verb): number | null {
  const { amount } = ruleOf(verb);
  if (amount === 'none') {
    if (!field.isEmpty) throw field.error(`takes no amount: write \`${verb}:\``);
    return null;
  }
  if (amount === 'all' && field.scalar === 'all') return null;
  if (typeof field.scalar !== 'number') {
    throw field.error(`must be minor units, an integer from 1${amount === 'all' ? ', or all' : ''}`);
  }
  return field.integer(1, amountMinorMax);
}

const reasonWords: readonly string[] = reasonTable.map(({ name }) => name);

function readExpect(field: YamlField | undefined): ExpectedAnswer | null {
  if (field === undefined) return null;
  if (!field.isMap) {
    const word = field.word(['declined', ...reasonWords]);
    if (word === 'approved' || word === 'declined') return { approved: word === 'approved' };
    return { approved: false, reason: word };
  }
  const members = field.members(['approved', 'reason', 'amount', 'available', 'status']);
  const minor = (name: string) => members.get(name)?.integer(-amountMinorMax, amountMinorMax);
  return given({
    approved: members.get('approved')?.flag(),
    reason: members.get('reason')?.word(reasonWords),
    amount: minor('amount'),
    available: minor('available'),
    status: members.get('status')?.integer(100, 599),
  });
}

/** Without what is undefined. */
function given(of: { [Name in keyof ExpectedAnswer]: ExpectedAnswer[Name] | undefined }): ExpectedAnswer {
  return Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined)) as ExpectedAnswer;
}

function readInstead(field: YamlField): Instead {
  const members = field.members([...verbNames, ...optionFields, 'because']);
  const because = members.get('because');
  if (because === undefined) throw field.error('has no because: say why the protocol does something else');
  return { say: readSay(members), because: because.text(400) };
}

function readBooks(field: YamlField): ExpectedBooks {
  const members = field.members(['held', 'posted']);
  const minor = (name: string) => {
    const member = members.get(name);
    if (member === undefined) throw field.error(`has no ${name}`);
    return member.integer(-amountMinorMax, amountMinorMax);
  };
  return { held: minor('held'), posted: minor('posted') };
}

function readTransactions(field: YamlField | undefined): ExpectedTransactions {
  const all: Record<string, ExpectedTransaction> = {};
  for (const [life, expected] of field?.members(null) ?? []) {
    const members = expected.members(['held', 'posted', 'refunded', 'status']);
    const status = members.get('status');
    if (status === undefined) throw expected.error('has no status');
    const minor = (name: string) => members.get(name)?.integer(-amountMinorMax, amountMinorMax) ?? 0;
    all[life] = {
      ...{ held: minor('held'), posted: minor('posted'), refunded: minor('refunded') },
      status: status.word(transactionStatuses),
    };
  }
  return all;
}

function readDifference(field: YamlField): Difference {
  const members = field.members(['because', 'books', 'transactions']);
  const because = members.get('because');
  if (because === undefined) throw field.error('has no because: say why the protocol ends differently');
  const books = members.get('books');
  return {
    because: because.text(400),
    books: books === undefined ? null : readBooks(books),
    transactions: readTransactions(members.get('transactions')),
  };
}

function readCards(field: YamlField | undefined): Record<string, CardPlan> {
  const cards: Record<string, CardPlan> = {};
  if (field === undefined) return { main: { status: 'active', limits: null } };
  for (const [name, plan] of field.members(null)) {
    if (!nameShape.test(name)) throw plan.error('must be named by lower-case letters, digits, _ or -');
    const members: Members = plan.isEmpty ? new Map() : plan.members(['status', 'limits']);
    const limits = members.get('limits');
    if (limits !== undefined && !limits.isMap) throw limits.error('must be a map, as the account API takes it');
    cards[name] = {
      status: members.get('status')?.word(['active', 'frozen'] as const) ?? 'active',
      limits: limits === undefined ? null : (limits.value() as Record<string, unknown>),
    };
  }
  if (Object.keys(cards).length === 0) throw field.error('must name a card');
  return cards;
}

function readMerchant(field: YamlField | undefined, base: Merchant): Merchant {
  if (field === undefined) return base;
  const members = field.members(['id', 'name', 'mcc', 'country']);
  const shaped = (name: 'mcc' | 'country', shape: RegExp, must: string) => {
    const member = members.get(name);
    if (member === undefined) return base[name];
    const text = String(member.scalar);
    if (!shape.test(text)) throw member.error(must);
    return text;
  };
  return {
    id: members.get('id')?.text(64) ?? base.id,
    name: members.get('name')?.text(64) ?? base.name,
    mcc: shaped('mcc', /^[0-9]{4}$/, 'must be four digits in quotes'),
    country: shaped('country', /^[A-Z]{2}$/, 'must be two upper-case letters'),
  };
}

function perProtocol<T>(field: YamlField | undefined, read: (field: YamlField) => T): Partial<Record<ProtocolName, T>> {
  const found: Partial<Record<ProtocolName, T>> = {};
  for (const [name, value] of field?.members(protocolNames) ?? []) found[name as ProtocolName] = read(value);
  return found;
}
