import t from 'tap';
import { readCommand } from './command-line.js';

t.test('commands are read with their defaults', async (t) => {
  t.match(readCommand([]), { kind: 'help' });
  t.match(readCommand(['story', 'hotel', '--protocol', 'all']), { kind: 'story', stories: ['hotel'] });
  t.match(readCommand(['send', 'reverse', '--of', 'a-1']), { say: { verb: 'reverse', amountMinor: null }, of: 'a-1' });
  const { plan } = readCommand(['load', '--late', '0.5', '--seed', '7']) as { plan?: object };
  t.match(plan, { ratePerSecond: 20, durationMs: 10_000, faults: { late: 0.5, lost: 0.01 }, seed: 7 });
  t.match(readCommand(['--explain', 'hotel']), { kind: 'explain', what: 'hotel' });
});

t.test('a wrong command says what would be right', async (t) => {
  for (const [args, error] of [
    ['stroy', 'there is no command stroy: did you mean story?'],
    ['story', 'story needs a name or a file'],
    ['send authorize', 'authorize needs an amount in minor units'],
    ['send authorize 1.5', 'the amount must be an integer from 1'],
    ['send clera 5', 'there is no verb clera: did you mean clear?'],
    ['send increment 5', 'increment goes on with a life: say --of'],
    ['send verify 5', 'verify takes no amount'],
    ['send authorize 5 --of a', '--of does not go with authorize'],
    ['load --late 2', '--late must be a number from 0 to 1, not "2"'],
    ['load --rate 0', '--rate must be an integer from 1'],
    ['load --protocol visa', 'there is no protocol visa'],
    ['load --auth-url here', 'here is no URL'],
    ['load --colour red', "Unknown option '--colour'"],
  ] as const) {
    t.throws(() => readCommand(args.split(' ')), { name: 'UsageError', message: new RegExp(escaped(error)) }, args);
  }
});

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
