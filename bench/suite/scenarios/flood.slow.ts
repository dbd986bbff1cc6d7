/** Memory stays flat while changes come faster than they can be taken: bounds on what is kept, none on time. */
import t from 'tap';
import { createTestDatabase } from '../../../deploy/testing/test-database.js';
import { scales } from '../bench.js';
import type { ScenarioResult } from '../figures.js';
import { runSuite } from '../run.js';
import { flood } from './flood.js';

t.setTimeout(0);

// Enough for three floods of 20,000 cards, by each way.
process.env['FLOOD_CHANGES'] = '3';

t.test('180,000 changes leave no memory behind in engine and API, by Redis and by LISTEN/NOTIFY', async (t) => {
  const database = await createTestDatabase();
  t.teardown(() => database.close());
  const results: ScenarioResult[] = [];
  await runSuite({
    scenarios: [flood],
    scale: { ...scales.full, roundCount: 2, accountCount: 300 },
    databaseUrl: database.url,
    write: (line) => t.comment(line),
    signal: new AbortController().signal,
    onResult: (result) => void results.push(result),
  });
  const [{ series, goals }] = results as [ScenarioResult];
  t.strictSame(
    series.map(({ name }) => name),
    ['engine, by Redis', 'API, by Redis', 'engine, by LISTEN/NOTIFY', 'API, by LISTEN/NOTIFY'],
  );
  for (const { figures } of series[0]!.samples) t.ok(figures.repeatedCount! > 1000, 'packets were repeated');
  for (const { text, metCount, roundCount } of goals) t.equal(metCount, roundCount, text);
  for (const { name, samples } of series) {
    for (const { figures, faults } of samples) {
      t.comment(name, JSON.stringify(figures));
      t.strictSame(faults, []);
    }
  }
});
