import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { folderFor } from '../../deploy/testing/for-test.js';
import { packLetters } from '../core/codes.js';
import { readStandIn } from './settings.js';

const rule = { currency: 'USD', perCardMinor: 500, perDayMinor: 2001, amountMaxMinor: 300 };
const defaults = { stateAgeMsMax: 30_000, engines: 1 };
const read = (changes: object, among: { stateAgeMsMax: number; engines: number | undefined } = defaults) =>
  readStandIn(JSON.stringify({ ...rule, ...changes }), among);

t.test('it is off without the variable, and is read from a value or from a file', async (t) => {
  t.equal(readStandIn('', defaults), null);
  const path = join(folderFor(t), 'standin.json');
  writeFileSync(path, JSON.stringify(rule));
  const expected = { ...rule, currency: packLetters('USD'), mcc: null, stateAgeMsMax: 30_000, engines: 1 };
  t.same(readStandIn(path, defaults), expected);
  t.same(read({}), expected);
  t.same(read({ mcc: { block: ['7995'] } })?.mcc, { block: true, members: new Set([7995]) });
  t.same(read({ mcc: { allow: ['5411'] } })?.mcc, { block: false, members: new Set([5411]) });
});

t.test('each engine gets its share of the caps, rounded down', async (t) => {
  t.match(read({ engines: 3 }), { perCardMinor: 166, perDayMinor: 667, amountMaxMinor: 300 });
  t.throws(() => read({}, { ...defaults, engines: undefined }), { message: /^STANDIN needs engines, an integer/ });
  t.throws(() => read({ perCardMinor: 2, engines: 3 }), {
    message: /needs perCardMinor of at least 1 for each of the 3/,
  });
});

t.test('a wrong value stops the start with one line that names it', async (t) => {
  const wrong: [object, RegExp][] = [
    [{ currency: 'usd' }, /^STANDIN needs currency, three capital letters/],
    [{ perCardMinor: 1.5 }, /^STANDIN needs perCardMinor, an integer from 1/],
    [{ perDayMinor: '2000' }, /^STANDIN needs perDayMinor/],
    [{ amountMaxMinor: 0 }, /^STANDIN needs amountMaxMinor/],
    [{ stateAgeMsMax: 86_400_001 }, /^STANDIN needs stateAgeMsMax, an integer from 1 to 86400000/],
    [{ mcc: ['7995'] }, /^STANDIN needs mcc/],
    [{ mcc: { block: ['799'] } }, /^STANDIN needs mcc/],
    [{ mcc: { block: [], allow: [] } }, /^STANDIN needs mcc/],
    [{ perCard: 5 }, /^STANDIN does not know perCard/],
  ];
  for (const [changes, message] of wrong) t.throws(() => read(changes), { name: 'ConfigError', message });
  t.throws(() => readStandIn('/nowhere/standin.json', defaults), { message: /the path of a file that can be read/ });
  t.throws(() => readStandIn('{', defaults), { message: /^STANDIN must be a JSON object/ });
});
