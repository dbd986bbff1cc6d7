/** What is wrong with a story is said with its file, line and field, before any message is sent. */
import t from 'tap';
import { StoryError } from './story.js';
import { loadStory, storyNames } from './story-files.js';
import { readStory } from './story-reader.js';
import { explain, listStories } from './words.js';

const good = `about: A purchase.
steps:
  - authorize: 100
    as: shop
    expect: approved
  - clear: 100
    of: shop
books: { held: 0, posted: 100 }
transactions:
  shop: { posted: 100, status: completed }
`;

function errorOf(text: string): string {
  try {
    readStory('shop.yaml', 'shop', text);
  } catch (error) {
    if (error instanceof StoryError) return error.message;
    throw error;
  }
  return '';
}

t.test('a good story is read with its defaults', async (t) => {
  const story = readStory('shop.yaml', 'shop', good);
  t.match(story, { name: 'shop', fundsMinor: 100_000, books: { held: 0, posted: 100 } });
  t.match(story.steps[1], {
    kind: 'say',
    say: { verb: 'clear', amountMinor: 100, isFinal: true, outcome: 'taken' },
    ...{ life: 'shop', opens: false, card: 'main', channel: 'chip', times: 1, isDelayed: false },
    place: { file: 'shop.yaml', line: 6 },
  });
});

/** What is replaced by what, and the error. */
const wrong: readonly (readonly [name: string, from: string, to: string, error: string])[] = [
  ['no YAML', 'steps:', 'steps: [', 'shop.yaml:3: is not YAML: '],
  ['a field that is no word', 'as: shop', 'sa: shop', 'shop.yaml:4: steps.1.sa is not known here: did you mean as?'],
  ['a verb that is none', 'authorize: 100', 'authorise: 100', 'steps.1.authorise is not known here: did you mean auth'],
  [
    'an amount in major units',
    'authorize: 100',
    'authorize: 1.50',
    'shop.yaml:3: steps.1.authorize must be an integer',
  ],
  ['an amount as text', 'authorize: 100', 'authorize: lots', 'shop.yaml:3: steps.1.authorize must be minor units'],
  ['no amount', 'clear: 100', 'clear: all', 'shop.yaml:6: steps.2.clear must be minor units'],
  ['a life that was not opened', 'of: shop', 'of: shpo', 'shop.yaml:7: steps.2.of names no life'],
  ['a life that is opened twice', 'of: shop', 'as: shop', 'shop.yaml:7: steps.2.as names the life shop, which'],
  ['an option of another verb', 'of: shop', 'of: shop\n    partial: true', 'steps.2.partial does not go with clear'],
  ['two verbs', 'of: shop', 'of: shop\n    refund: 1', 'steps.2.refund does not go with clear'],
  ['no verb', 'clear: 100', 'times: 2', 'shop.yaml:6: steps.2 says nothing'],
  ['a reason that is none', 'approved', 'aproved', 'shop.yaml:5: steps.1.expect must be one of declined, approved'],
  ['a step that follows nothing', 'clear: 100\n    of: shop', 'reverse: all', 'steps.2 needs of'],
  ['a frozen card that is none', 'clear: 100\n    of: shop', 'freeze: mian', 'steps.2.freeze must be one of main'],
  ['a freeze with more', 'clear: 100\n    of', 'freeze: main\n    of', 'steps.2.of does not go with freeze'],
  ['limits as a number', 'clear: 100\n    of: shop', 'limits: 5', 'steps.2.limits must be a map'],
  ['no books', 'books: { held: 0, posted: 100 }\n', '', 'shop.yaml:1: the story has no books'],
  ['half of the books', ', posted: 100 }\n', ' }\n', 'shop.yaml:8: books has no posted'],
  ['a transaction of no life', '  shop: {', '  shpo: {', 'shop.yaml:10: transactions.shpo names no life'],
  ['a status that is none', 'completed', 'done', 'shop.yaml:10: transactions.shop.status must be one of pending'],
  ['too often', 'of: shop', 'of: shop\n    times: 900', 'steps.2.times must be an integer from 1 to 200'],
  ['a protocol that is none', 'of: shop', 'of: shop\n    instead: { visa: {} }', 'steps.2.instead.visa is not known'],
  ['no reason for another word', 'of: shop', 'of: shop\n    instead: { stripe: {} }', 'instead.stripe has no because'],
  ['no reason for another answer', 'of: shop', 'of: shop\n    but: { stripe: declined }', 'say why in differs.stripe'],
  ['an alias', 'expect: approved', 'expect: *shop', 'shop.yaml:5: '],
];

t.test('each fault of a story is named with its line and field', async (t) => {
  t.equal(errorOf(good), '');
  for (const [name, from, to, error] of wrong) {
    t.ok(good.includes(from), name);
    const message = errorOf(good.replace(from, to));
    t.ok(message.includes(error), `${name}: ${message}`);
  }
  t.match(errorOf(''), 'shop.yaml:1: the story must be a map of fields');
  t.match(errorOf(`about: ${'x'.repeat(300_000)}`), 'has more than');
});

t.test('the shipped stories are listed and explained, and a wrong name gets the nearest one', async (t) => {
  const named = [
    ...['fuel', 'hotel', 'restaurant-tip', 'airline-multi-clearing', 'recurring', 'atm', 'refund-without-original'],
    ...['late-advice', 'lost-answer', 'duplicate-storm'],
  ];
  t.same(
    named.filter((name) => !storyNames().includes(name)),
    [],
  );
  t.equal(listStories().length, storyNames().length);
  t.match(explain('hotel').join('\n'), /1\. stay: authorize 300\.00, expected: approved\n/);
  t.match(explain('chargeback').join('\n'), /lithic says refund in step 3: Lithic reports no chargeback/);
  t.match(explain('clear').join('\n'), 'a force post where it follows nothing');
  t.match(explain(undefined).join('\n'), 'delayed');
  t.throws(() => explain('hotle'), /did you mean hotel\?/);
  t.throws(() => loadStory('no/such.yaml'), /no\/such\.yaml cannot be read/);
});
