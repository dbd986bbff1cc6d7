/** The command line of the simulator, checked, and its help. */
import { parseArgs } from 'node:util';
import { type Fault, faultNames, type LoadPlan } from './load.js';
import { type ProtocolName, protocolNames, ruleOf, type Say, type Verb, verbNames } from './story.js';
import { suggestion } from './yaml-fields.js';

/** What was asked for cannot be done as it was written; one line for a person. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const help = `Plays a card network against an engine, signed as the processor would sign.

  atlantic-simulate story NAME|FILE…    play stories; "all": every shipped one
  atlantic-simulate send VERB [AMOUNT]  send one step, AMOUNT in minor units
  atlantic-simulate load                play lives at a rate, with faults
  atlantic-simulate --list              list the shipped stories
  atlantic-simulate --explain [WORD]    explain a story, a word, or every word

where
  --protocol NAME   ${protocolNames.join(', ')}, or all that speak HTTP (default native)
  --auth-url URL    authorization port (default AUTH_PORT of this machine)
  --ops-url URL     ops port of an engine, for the books
  --api-url URL     account API, which makes a customer for each story
  --iso-port PORT   of an ISO 8583 link on this machine (1987, ASCII, two bytes of length); its card
                    is there already: CARD_NUMBER in the environment, and --account
  --card TOKEN      a card that is there already, with --account ID for its books
  --account ID
  --seed NUMBER     of shuffled deliveries and of loads

of send
  --of ID           go on with a life that an earlier send began
  --partial, --not-final, --expect approved|declined|REASON

of load
  --rate N          lives a second (default 20)
  --seconds N       (default 10)
  --accounts N, --cards N   accounts, and cards of each (default 4, 3)
  --skew X          0: cards alike; up to 0.99: some used far more (default 0.8)
  --late X, --repeated X, --reordered X, --lost X   shares from 0 to 1

Passwords and secrets come from the environment (PROCESSOR_USER, PROCESSOR_PASSWORD, ENGINE_TOKEN,
MARQETA_WEBHOOK_SECRET, LITHIC_SECRET, STRIPE_SECRET), else from the folder of make run (DATA_DIR).

Exit code: 0 as expected, 1 something was not, 2 the command or a story is wrong, 3 no answer.`;

interface Common {
  readonly protocols: readonly ProtocolName[];
  readonly authUrl?: string;
  readonly opsUrl?: string;
  readonly apiUrl?: string;
  readonly isoPort: number | null;
  readonly card: string | null;
  readonly account: string | null;
  readonly seed: number;
}

export interface SendCommand {
  readonly kind: 'send';
  readonly say: Say;
  readonly of: string | null;
  readonly expect: string | null;
}

export type Command = Common &
  (
    | { readonly kind: 'help' }
    | { readonly kind: 'list' }
    | { readonly kind: 'explain'; readonly what: string | undefined }
    | { readonly kind: 'story'; readonly stories: readonly string[] }
    | SendCommand
    | { readonly kind: 'load'; readonly plan: LoadPlan }
  );

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const options = {
  ...{ help: flag, list: flag, explain: flag, protocol: text, 'auth-url': text, 'ops-url': text, 'api-url': text },
  ...{
    card: text,
    account: text,
    'iso-port': text,
    seed: text,
    of: text,
    partial: flag,
    'not-final': flag,
    expect: text,
  },
  ...{ rate: text, seconds: text, accounts: text, cards: text, skew: text },
  ...{ late: text, repeated: text, reordered: text, lost: text },
} as const;

const amountMinorMax = 100_000_000_00;

/** @throws UsageError */
export function readCommand(args: readonly string[]): Command {
  const { values, positionals } = parsed(args);
  const [name, ...rest] = positionals;
  const given = {
    ...(values['auth-url'] === undefined ? {} : { authUrl: values['auth-url'] }),
    ...(values['ops-url'] === undefined ? {} : { opsUrl: values['ops-url'] }),
    ...(values['api-url'] === undefined ? {} : { apiUrl: values['api-url'] }),
  };
  for (const url of Object.values(given)) {
    if (!URL.canParse(url)) throw new UsageError(`${url} is no URL, such as http://127.0.0.1:8080`);
  }
  const common: Common = {
    ...given,
    protocols: readProtocols(values.protocol ?? 'native'),
    isoPort: values['iso-port'] === undefined ? null : number('--iso-port', values['iso-port'], 1, 65_535, true),
    card: values.card ?? null,
    account: values.account ?? null,
    seed: number('seed', values.seed ?? String(1 + Math.floor(Math.random() * 2 ** 30)), 1, 2 ** 31 - 1, true),
  };
  if (values.explain) return { ...common, kind: 'explain', what: name };
  if (values.list) return { ...common, kind: 'list' };
  if (values.help || name === undefined || name === 'help') return { ...common, kind: 'help' };
  switch (name) {
    case 'story':
      if (rest.length === 0) throw new UsageError('story needs a name or a file: --list lists the names');
      return { ...common, kind: 'story', stories: rest };
    case 'send':
      return { ...common, ...readSend(rest, values) };
    case 'load':
      return { ...common, kind: 'load', plan: readLoad(values, common.seed) };
    default:
      throw new UsageError(`there is no command ${name}: ${suggestion(name, ['story', 'send', 'load'])}`);
  }
}

type Values = ReturnType<typeof parsed>['values'];

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    // Node's message goes on with how to write positionals.
    throw new UsageError((error as Error).message.split('. ')[0]!);
  }
}

function readProtocols(name: string): readonly ProtocolName[] {
  if (name === 'all') return protocolNames.filter((protocol) => protocol !== 'iso8583');
  const found = protocolNames.find((protocol) => protocol === name);
  if (found === undefined) throw new UsageError(`there is no protocol ${name}: ${suggestion(name, protocolNames)}`);
  return [found];
}

function readSend([verbName = '', amount]: readonly string[], values: Values): SendCommand {
  if (verbName === '') throw new UsageError(`send needs a verb: known are ${verbNames.join(', ')}`);
  const verb = verbNames.find((candidate) => candidate === verbName);
  if (verb === undefined) throw new UsageError(`there is no verb ${verbName}: ${suggestion(verbName, verbNames)}`);
  const rule = ruleOf(verb);
  if (rule.life === 'follows' && values.of === undefined) {
    throw new UsageError(`${verb} goes on with a life: say --of and the id that send printed`);
  }
  if (values.of !== undefined && rule.life === 'opens') throw new UsageError(`--of does not go with ${verb}`);
  return {
    kind: 'send',
    say: {
      verb,
      amountMinor: readAmount(verb, amount),
      isFinal: values['not-final'] !== true,
      isPartialAllowed: values.partial === true,
      outcome: 'taken',
    },
    of: values.of ?? null,
    expect: values.expect ?? null,
  };
}

function readAmount(verb: Verb, amount: string | undefined): number | null {
  const rule = ruleOf(verb).amount;
  if (rule === 'none') {
    if (amount !== undefined) throw new UsageError(`${verb} takes no amount`);
    return null;
  }
  if (rule === 'all' && (amount === undefined || amount === 'all')) return null;
  if (amount === undefined) throw new UsageError(`${verb} needs an amount in minor units`);
  return number('the amount', amount, 1, amountMinorMax, true);
}

function readLoad(values: Values, seed: number): LoadPlan {
  const share = (name: Fault, fallback: string) => number(`--${name}`, values[name] ?? fallback, 0, 1, false);
  const faults = { late: '0.02', repeated: '0.02', reordered: '0.02', lost: '0.01' };
  return {
    ratePerSecond: number('--rate', values.rate ?? '20', 1, 2000, true),
    durationMs: 1000 * number('--seconds', values.seconds ?? '10', 1, 3600, true),
    accountCount: number('--accounts', values.accounts ?? '4', 1, 100, true),
    cardsPerAccount: number('--cards', values.cards ?? '3', 1, 10, true),
    skew: number('--skew', values.skew ?? '0.8', 0, 0.99, false),
    faults: Object.fromEntries(faultNames.map((name) => [name, share(name, faults[name])])) as Record<Fault, number>,
    seed,
  };
}

function number(name: string, value: string, min: number, max: number, isInteger: boolean): number {
  const read = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (!(read >= min && read <= max) || (isInteger && !Number.isInteger(read))) {
    const kind = isInteger ? 'an integer' : 'a number';
    throw new UsageError(`${name} must be ${kind} from ${min} to ${max}, not ${JSON.stringify(value)}`);
  }
  return read;
}
