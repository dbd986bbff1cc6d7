/** What `--list` and `--explain` print: the shipped stories, and the words of stories. */
import {
  channels,
  deliverOrders,
  protocolNames,
  ruleOf,
  type SayStep,
  type Step,
  type Story,
  StoryError,
  type Verb,
  verbNames,
} from './story.js';
import { loadStory, storyNames } from './story-files.js';
import { changeText, money } from './trace.js';
import { suggestion } from './yaml-fields.js';

const optionWords: Readonly<Record<string, string>> = {
  as: 'names the life that the step opens',
  of: 'names the life that the step goes on with',
  card: 'one of the cards of the story; the first when it is left out',
  merchant: 'id, name, mcc, country; of the story when it is left out',
  channel: `one of ${channels.join(', ')}; chip when it is left out`,
  partial: 'of authorize: the terminal takes less than it asks for',
  final: 'of clear: false says that further clearings follow',
  outcome: 'of authorize: lost (the answer did not arrive) or overruled (the network approves all the same)',
  times: 'how often each message of the step is sent, all at once; every answer must be the same',
  delayed: 'true: the reports of the step wait for a deliver',
  deliver: `a step of its own: sends what was delayed, ${deliverOrders.join(', ')}`,
  freeze: 'a step of its own: freezes that card of the story, on every engine before the next step',
  unfreeze: 'a step of its own: makes that card active again',
  limits: 'a step of its own: replaces the limits of card, as the account API takes them',
  books: 'as a step, or of the story: what held and posted have moved by, in minor units',
  transactions: 'of the story: held, posted, refunded and status of each life at the end',
  expect: 'approved, declined, a reason, or a map of approved, reason, amount, available, status',
  but: 'another answer of one protocol, whose reason stands in differs',
  instead: 'what one protocol does in place of the step, and because of what; without a verb it sends nothing',
  differs: 'of the story: how one protocol ends differently, and because of what',
  without: 'of the story: a protocol that cannot tell it, and why',
  cards: 'of the story: names with status (active, frozen) and limits as the account API takes them',
  funds: 'of the story: what the account has, in minor units; 100000 when it is left out',
};

export function listStories(): string[] {
  const names = storyNames();
  const width = Math.max(...names.map((name) => name.length));
  return names.map((name) => `  ${name.padEnd(width)}  ${loadStory(name).about}`);
}

/** @param what a story, a word, or undefined: every word. @throws StoryError where it is neither */
export function explain(what: string | undefined): string[] {
  if (what === undefined) {
    return [
      'A step says one of these verbs, with its amount in minor units:',
      ...verbNames.map(verbLine),
      '',
      'Further words of steps and stories:',
      ...Object.entries(optionWords).map(([word, means]) => `  ${word.padEnd(13)} ${means}`),
    ];
  }
  if ((verbNames as readonly string[]).includes(what)) {
    const story = storyNames().includes(what) ? explainStory(loadStory(what)) : [];
    return [verbLine(what as Verb), ...story];
  }
  const option = optionWords[what];
  if (option !== undefined) return [`  ${what.padEnd(13)} ${option}`];
  const known = [...storyNames(), ...verbNames, ...Object.keys(optionWords)];
  if (!/[/\\.]/.test(what) && !known.includes(what)) {
    throw new StoryError(`there is no story and no word ${what}: ${suggestion(what, known)}`);
  }
  return explainStory(loadStory(what));
}

function verbLine(verb: Verb): string {
  const { means, life } = ruleOf(verb);
  const rule = life === 'opens' ? 'opens a life' : life === 'follows' ? 'needs of' : 'opens a life, or needs of';
  return `  ${verb.padEnd(13)} ${means} (${rule})`;
}

function explainStory({ name, about, steps, books, differs, without }: Story): string[] {
  const lines = [
    `${name}: ${about}`,
    ...steps.map((step, index) => `  ${String(index + 1).padStart(2)}. ${stepLine(step)}`),
  ];
  lines.push(`  In the end: held ${money(books.held)}, posted ${money(books.posted)}.`);
  for (const protocol of protocolNames) {
    const difference = differs[protocol];
    if (difference !== undefined) lines.push(`  ${protocol} ends differently: ${difference.because}`);
    const refusal = without[protocol];
    if (refusal !== undefined) lines.push(`  ${protocol} cannot tell it: ${refusal}`);
    for (const [index, step] of steps.entries()) {
      const instead = step.kind === 'say' ? step.instead[protocol] : undefined;
      if (instead !== undefined) {
        const does = instead.say === null ? 'sends nothing' : `says ${instead.say.verb}`;
        lines.push(`  ${protocol} ${does} in step ${index + 1}: ${instead.because}`);
      }
    }
  }
  return lines;
}

function stepLine(step: Step): string {
  if (step.kind === 'deliver') return `what was delayed is delivered, ${step.order}`;
  if (step.kind === 'change') return changeText(step.card, step.change);
  if (step.kind === 'books') return `the books: held ${money(step.books.held)}, posted ${money(step.books.posted)}`;
  return sayLine(step);
}

function sayLine({ say, life, times, isDelayed, expect }: SayStep): string {
  const amount = say.amountMinor === null ? '' : ` ${money(say.amountMinor)}`;
  const expected =
    expect === null ? '' : `, expected: ${expect.reason ?? (expect.approved === false ? 'declined' : 'approved')}`;
  const extra = [
    ...(say.isFinal ? [] : ['not the last one']),
    ...(say.isPartialAllowed ? ['less will do'] : []),
    ...(say.outcome === 'taken' ? [] : [say.outcome]),
    ...(times > 1 ? [`${times} times`] : []),
    ...(isDelayed ? ['delayed'] : []),
  ];
  return `${life}: ${say.verb}${amount}${extra.length === 0 ? '' : ` (${extra.join(', ')})`}${expected}`;
}
