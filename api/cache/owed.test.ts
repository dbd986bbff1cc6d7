/**
 * Every name that is added is sent after it was added, however often sending fails, and few are on their way at a time.
 */
import fc from 'fast-check';
import t from 'tap';
import { until } from '../../engine/testing/engine-process.js';
import { runs } from '../../engine/testing/runs.js';
import { Owed } from './owed.js';

t.test('an added message is sent after the call that added it has returned', async (t) => {
  const name = fc.integer({ min: 0, max: 20 }).map((number) => `cards:${number}`);
  const steps = fc.array(fc.record({ name, turns: fc.nat(3) }), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(steps, fc.array(fc.boolean(), { maxLength: 4 }), async (list, failures) => {
      let clock = 0;
      const addedAt = new Map<string, number>();
      const sentAt = new Map<string, number>();
      const fails = [...failures];
      const owed = new Owed(
        async (name) => {
          const beganAt = ++clock;
          await Promise.resolve();
          if (fails.pop() === true) return false;
          sentAt.set(name, beganAt);
          return true;
        },
        () => t.fail('no message is dropped'),
        1000,
        1,
      );
      for (const step of list) {
        addedAt.set(step.name, ++clock);
        owed.add(step.name);
        if (!owed.has(step.name)) t.fail('the message waits as soon as it was added');
        for (let turn = 0; turn < step.turns; turn++) await Promise.resolve();
      }
      await until('nothing is owed', () => owed.size === 0, 20_000, 1);
      for (const [key, at] of addedAt) if ((sentAt.get(key) ?? 0) < at) t.fail(`${key} was sent too early`);
    }),
    runs(50),
  );
  t.pass('every message was checked');
});

t.test('at most 64 messages are in flight, and each key waits once', async (t) => {
  let flying = 0;
  let flyingMax = 0;
  let sent = 0;
  const owed = new Owed(
    async () => {
      sent++;
      flyingMax = Math.max(flyingMax, ++flying);
      await new Promise((resolve) => setImmediate(resolve));
      flying--;
      return true;
    },
    () => t.fail('no message is dropped'),
  );
  for (let round = 0; round < 5; round++) for (let number = 0; number < 10_000; number++) owed.add(`cards:${number}`);
  await until('all have been sent', () => owed.size === 0);
  t.equal(flyingMax, 64);
  t.ok(sent <= 10_064, `${sent} for 50,000 additions of 10,000 names`);
});

t.test('messages beyond the bound are dropped, and the drop is reported', async (t) => {
  let overflows = 0;
  const owed = new Owed(
    async () => false,
    () => {
      overflows++;
    },
    1000,
  );
  for (let number = 0; number < 1500; number++) owed.add(`cards:${number}`);
  t.equal(overflows, 1);
  t.ok(owed.size <= 1000 + 64);
  owed.stop();
});
