/** How Marqeta's calls fare, as /health reports it. */
import t from 'tap';
import { healthOfCalls, MarqetaWatch } from './marqeta-watch.js';

t.test('the component counts Marqeta calls and their answers of the last minute', async (t) => {
  const counts = { approved: 0, declined: 0, malformed: 0, unauthorized: 0, unavailable: 0 };
  const watch = new MarqetaWatch(() => ({ ...counts }));
  watch.look(0);
  t.match(watch.health(0), { status: 'disabled', detail: /no call/ });
  counts.approved = 8;
  counts.declined = 1;
  counts.unavailable = 1;
  watch.look(1000);
  t.match(watch.health(4000), {
    status: 'healthy',
    detail:
      'last call 3 s ago, 10 since the start, 10 in the last minute (0.2 a second, 10.0 % errors), answered: ' +
      '8 approved, 1 declined, 1 unavailable',
  });
  for (let second = 5; second <= 90; second++) watch.look(second * 1000);
  t.match(watch.health(90_000), {
    status: 'healthy',
    detail: /last call 89 s ago, 10 since .* none in the last minute/,
  });
  counts.unauthorized = 3;
  counts.approved += 2;
  t.match(watch.health(90_500), {
    status: 'unhealthy',
    detail: /last call 0 s ago, 15 .*: 2 approved, 3 unauthorized$/,
  });
});

t.test('calls before the first look count in the first minute', async (t) => {
  const counts = { approved: 0, declined: 0, malformed: 3, unauthorized: 1, unavailable: 0 };
  const watch = new MarqetaWatch(() => counts);
  watch.look(1000);
  t.match(watch.health(1500), {
    status: 'unhealthy',
    detail: /4 in the last minute .*100.0 % errors.*: 3 malformed, 1 unauthorized$/,
  });
});

t.test('calls of several engines are added up, and the newest one gives the age', async (t) => {
  const calls = { approved: 3, declined: 0, malformed: 0, unauthorized: 0, unavailable: 0 };
  const none = { approved: 0, declined: 0, malformed: 0, unauthorized: 0, unavailable: 0 };
  const report = healthOfCalls([
    { sinceStart: calls, recent: calls, lastCallAgeMs: 7000 },
    { sinceStart: { ...calls, unavailable: 1 }, recent: { ...none, unavailable: 1 }, lastCallAgeMs: 2000 },
    { sinceStart: none, recent: none, lastCallAgeMs: null },
  ]);
  t.match(report, {
    status: 'healthy',
    detail: /^last call 2 s ago, 7 since the start, 4 in the last minute .*25.0 % errors.*: 3 approved, 1 unavailable$/,
  });
});
