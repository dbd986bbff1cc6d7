import { existsSync } from 'node:fs';
import t from 'tap';
import { busyShare, readMachineTime, readProcessCpu, readResidentBytes } from './process-stats.js';

t.test(
  'the reader reads this process',
  { skip: existsSync('/proc/self/task') ? false : 'no /proc here' },
  async (t) => {
    const cpu = readProcessCpu(process.pid);
    t.ok(cpu !== null && cpu.mainThreadSeconds > 0 && cpu.totalSeconds >= cpu.mainThreadSeconds);
    t.ok(readResidentBytes(process.pid)! > 1_000_000);
  },
);

t.test('a process that does not exist has no values', async (t) => {
  t.equal(readProcessCpu(2 ** 30), null);
  t.equal(readResidentBytes(2 ** 30), null);
});

t.test('the busy share is the growth of the busy time', async (t) => {
  t.equal(busyShare({ busyMs: 10, totalMs: 100 }, { busyMs: 40, totalMs: 200 }), 0.3);
  t.equal(busyShare({ busyMs: 10, totalMs: 100 }, { busyMs: 10, totalMs: 100 }), 0);
  t.ok(readMachineTime().totalMs > 0);
});
