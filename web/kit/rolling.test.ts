/** Rolling windows in the forms of console and app: what is typed, what is sent, and what is refused before. */
import t from 'tap';
import {
  rollingHoursMax as engineHoursMax,
  rollingMax as engineMax,
  rollingHoursMin,
} from '../../engine/core/rolling.js';
import { type RollingRow, rollingHoursMax, rollingMax, rollingOf, rollingRowsOf, withRow } from './rolling.js';

const row = (typed: Partial<RollingRow>): RollingRow => ({ key: 0, hours: '24', amount: '', count: '', ...typed });

t.test('windows that are not edited come back as they were, in every currency', async (t) => {
  const windows = [
    { hours: 1, amount: 1_234_567_89, count: 1_000_000_000 },
    { hours: 2160, count: 0 },
  ];
  for (const currency of ['USD', 'JPY', 'KWD']) {
    t.same(rollingOf(rollingRowsOf(windows, currency), currency), { windows, faults: {} });
  }
  t.same(rollingRowsOf([{ hours: 6, amount: 1250 }], 'USD'), [{ key: 0, hours: '6', amount: '12.50', count: '' }]);
  t.same(rollingRowsOf(undefined, 'USD'), []);
});

t.test('the form takes the hours and the windows that the engine takes', async (t) => {
  t.same([rollingMax, rollingHoursMax], [engineMax, engineHoursMax]);
  for (const hours of [rollingHoursMin, engineHoursMax]) {
    const typed = row({ hours: ` ${hours} `, count: '3' });
    t.same(rollingOf([typed], 'USD'), { windows: [{ hours, count: 3 }], faults: {} });
  }
  for (const hours of ['', '0', '2161', '1.5', '-1', '1e2', '24h']) {
    t.same(rollingOf([row({ hours, count: '3' })], 'USD').faults, { 'rolling.0.hours': 'hours' }, hours);
  }
});

t.test('a fault names its window and its field', async (t) => {
  const faulty = [row({ amount: '1.5' }), row({ key: 1, amount: '1', count: '1000000001' })];
  t.same(rollingOf(faulty, 'JPY').faults, { 'rolling.0.amount': 'amount', 'rolling.1.count': 'count' });
  t.same(rollingOf([row({ count: ' ' })], 'USD').faults, { 'rolling.0.amount': 'amountOrCount' });
});

t.test('a window that is added has a key of its own, also after another one left', async (t) => {
  const [first, second] = withRow(withRow([]));
  t.not(first!.key, second!.key);
  t.not(withRow([second!])[1]!.key, second!.key);
});
