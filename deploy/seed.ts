/** `make seed ACCOUNTS=… CARDS=… BALANCE=…`: accounts for load tests, with the stack running or stopped. */
import { SingleBar } from 'cli-progress';
import { withDatabase } from './database.js';
import { seedAccounts } from './seed-accounts.js';
import { readInteger, readSettings, SettingError } from './settings.js';

const lineEveryMs = 2_000;

try {
  const settings = readSettings();
  const accounts = readInteger(process.env, 'ACCOUNTS', 1_000, 1, 100_000_000);
  const cardsPerAccount = readInteger(process.env, 'CARDS', 1, 0, 1_000);
  const balanceMinor = readInteger(process.env, 'BALANCE', 1_000_000, 0, 1_000_000_000_000_00);
  const startedMs = performance.now();
  const result = await withDatabase(settings, console.log, async (sql) => {
    const progress = showProgress(accounts);
    try {
      return await seedAccounts(sql, { accounts, cardsPerAccount, balanceMinor, onProgress: progress.update });
    } finally {
      progress.stop();
    }
  });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(
    `${accounts} accounts with ${cardsPerAccount} cards each: added ${result.accountsAdded} accounts and ` +
      `${result.cardsAdded} cards in ${seconds} s`,
  );
} catch (error) {
  if (!(error instanceof SettingError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

interface Progress {
  readonly update: (done: number) => void;
  readonly stop: () => void;
}

/** A bar for people, a line now and then for logs. */
function showProgress(total: number): Progress {
  if (process.stdout.isTTY) {
    const bar = new SingleBar({
      format: 'accounts {bar} {value}/{total}, {eta_formatted} left',
      stream: process.stdout,
    });
    bar.start(total, 0);
    return { update: (done) => bar.update(done), stop: () => bar.stop() };
  }
  let saidMs = performance.now();
  return {
    update: (done) => {
      if (performance.now() - saidMs < lineEveryMs) return;
      saidMs = performance.now();
      console.log(`${done} of ${total} accounts`);
    },
    stop: () => undefined,
  };
}
