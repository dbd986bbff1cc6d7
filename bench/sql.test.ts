/** The benchmark of queries runs, on a small ledger. */
import t from 'tap';
import { benchSql } from './sql.js';

t.test('every query finds rows and has a plan', async (t) => {
  const lines: string[] = [];
  t.equal(await benchSql(true, (line) => lines.push(line)), true);
  const text = lines.join('\n');
  t.match(text, /transactions_account_created/, 'plans are shown');
  t.match(text, /\| spending by mcc, the largest \| 200 \| \d+\.\d\d \|/);
});
