/** The account API's benchmark in small: that it measures what it says, not how fast. */
import t from 'tap';
import { benchApi, renderApiBench } from './api.js';
import { faultsOf } from './load/result.js';

t.test('every request of the benchmark gets its expected answer', async (t) => {
  const rows = await benchApi(
    {
      customerCount: 20,
      transactionsPerCustomer: 20,
      ratePerSecond: 100,
      warmUpMs: 0,
      durationMs: 1000,
      connectionCount: 5,
      connectionCountMany: 200,
      callerCount: 3,
      log: () => undefined,
    },
    new AbortController().signal,
  );
  t.same(
    rows.map(({ name }) => name),
    ['bare Fastify', 'API', 'API, many connections'],
  );
  for (const {
    name,
    measured: { load: result },
  } of rows) {
    t.same(faultsOf(result), [], name);
    t.ok(result.rightCount > 50, `${name}: ${result.rightCount} answers`);
  }
  const kinds = Object.keys(rows[1]!.measured.load.kindCounts);
  t.same([...new Set(kinds)].sort(), ['cards', 'sign in', 'transactions']);
  const report = renderApiBench(rows, 'a machine');
  t.match(report, /\| bare Fastify \| 5 \|/);
  t.match(report, /p99 [\d.]+ ms: goal of 20 ms (met|missed)/);
});
