/** Failed sign-ins in the audit trail: what a flood of them writes. */
import t from 'tap';
import { createLog } from '../../platform/log.js';
import type { By } from '../stores/acting.js';
import type { AuditEvent } from '../stores/audit.js';
import { FailedSignIns, pairsMax, windowMs } from './failed-sign-ins.js';

function setUp() {
  const written: { by: By; event: AuditEvent }[] = [];
  const clock = { ms: 1 };
  const trail = {
    note: async (by: By, ...events: readonly AuditEvent[]) => {
      for (const event of events) written.push({ by, event });
    },
  };
  const failed = new FailedSignIns(trail, createLog('silent', 'api'), () => clock.ms);
  const guess = (account: string, network = '10.0.0.1') =>
    failed.note({
      kind: 'user',
      account,
      publicId: null,
      reason: 'invalid_credentials',
      device: { address: network, network, userAgent: '', requestId: 'r' },
    });
  return { written, clock, failed, guess };
}

t.test('a thousand guesses at one account from one network are two entries', async (t) => {
  const { written, failed, guess } = setUp();
  for (let number = 0; number < 1000; number++) await guess('ada@example.com');
  t.equal(written.length, 1, 'the first failure is an entry at once');
  await failed.flush();
  t.equal(written.length, 2);
  t.match(written[1]!.event, { action: 'user.sign_in_failed', after: { repeats: 999 } });
});

t.test(
  'guesses at thousands of accounts from thousands of networks make a bounded number of entries with counts',
  async (t) => {
    const { written, failed, guess } = setUp();
    for (let number = 0; number < 5000; number++)
      await guess(`a${number}@example.com`, `10.0.${number >> 8}.${number & 255}`);
    await failed.flush();
    t.equal(written.length, pairsMax + 1);
    t.match(written.at(-1)!.event, { action: 'sign_in.failed', after: { failures: 5000 - pairsMax } });
  },
);

t.test('the next minute begins with an entry again', async (t) => {
  const { written, clock, guess } = setUp();
  await guess('ada@example.com');
  await guess('ada@example.com');
  clock.ms += windowMs;
  await guess('ada@example.com');
  t.equal(
    written.length,
    3,
    'the entries are the first failure, the repeats of the first minute, and the first of the second',
  );
});
