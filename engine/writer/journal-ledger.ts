/**
 * A journal belongs to one ledger. Its folder says which, so that no start replays decisions into the books of another
 * database whose positions happen to fit.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { seeRunbook } from '../../platform/runbook.js';

const fileName = 'ledger';

/**
 * Writes down the ledger of a new journal. Only under the journal's lock.
 * @param directory of all partitions' journals
 * @param ledger id of the database's ledger
 * @throws one line for a person when the journal belongs to another ledger
 */
export function assertLedger(directory: string, ledger: string): void {
  const path = join(directory, fileName);
  const found = readId(path);
  if (found === ledger) return;
  if (found !== '') {
    throw new Error(
      `the journal ${directory} belongs to ledger ${found}, and this database is ledger ${ledger}: correct ` +
        `DATABASE_URL or DATA_DIR. Nothing was changed. ${seeRunbook('foreign-journal')}`,
    );
  }
  const file = openSync(`${path}.new`, 'w', 0o600);
  try {
    writeSync(file, `${ledger}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
  const folder = openSync(directory, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** '' when there is none. */
function readId(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
