/** Why a run of bench-quick does not count. */
import t from 'tap';
import { quickFaults } from './quick.js';

const clean = {
  errorCount: 0,
  errorFirst: null,
  timeoutCount: 0,
  wrongCount: 0,
  declinedCount: 0,
  statusCounts: { '200': 10 },
};

function resultOf(...engines: object[]) {
  const rounds = engines.map((engine) => ({ echo: { load: clean }, engine: { load: { ...clean, ...engine } } }));
  return { shapes: [{ shape: { name: '256, spread' }, rounds }] } as unknown as Parameters<typeof quickFaults>[0];
}

t.test('a run with refusals says in which round and how many; declines are right', async (t) => {
  t.same(quickFaults(resultOf({ declinedCount: 3 }, {})), []);
  t.same(quickFaults(resultOf({}, { statusCounts: { '200': 10, '503': 7 }, timeoutCount: 1 })), [
    '256, spread, round 2 of 2, engine: 1 timeouts, 7 × 503',
  ]);
});
