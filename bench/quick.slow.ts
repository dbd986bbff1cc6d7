/** `make bench-quick` in small: that it still runs, and that its tables can be written; its figures mean nothing. */
import t from 'tap';
import { createTestDatabase } from '../deploy/testing/test-database.js';
import { benchQuick } from './quick.js';
import { renderQuick } from './report.js';

t.setTimeout(120_000);

t.test('the quick benchmark runs from start to end', async (t) => {
  const database = await createTestDatabase();
  t.teardown(() => database.close());
  const lines: string[] = [];
  const result = await benchQuick(
    {
      accountCount: 200,
      timing: { warmUpMs: 30, durationMs: 150, threadCount: 1 },
      roundCounts: { spread: 1, hot: 1 },
      wrkSeconds: 1,
      memoryCardCount: 100,
      databaseUrl: database.url,
      // Beside other tests a card may take its time to load; the deadline has tests of its own.
      engineEnv: { DEADLINE_MS: '3000' },
    },
    new AbortController().signal,
    (line) => lines.push(line),
  );
  for (const line of lines) t.comment(line.trim());
  // Timeouts are left to chance: a machine that stands still for seconds is no fault of the benchmark.
  for (const round of result.shapes.flatMap(({ rounds }) => rounds))
    for (const { load } of [round.echo, round.engine])
      t.match(load, { errorCount: 0, wrongCount: 0, errorFirst: null });
  t.match(result.memory, { cardCount: 100, wrongCount: 0 });
  const text = renderQuick(result);
  for (const name of ['256, spread', '64, spread', '256, one account'])
    for (const server of ['echo', 'engine']) t.match(text, new RegExp(`\\| ${name} \\| ${server} \\| [\\d,]+ \\|`));
});
