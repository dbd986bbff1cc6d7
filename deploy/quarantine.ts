/** `npm run quarantine -- list | retry ID | retry all`: records that settling has set apart. */
import type postgres from 'postgres';
import { quarantined, retryQuarantined, type WaitingRecord } from '../workers/settle/quarantine.js';
import { withDatabase } from './database.js';
import { readSettings, SettingError } from './settings.js';

const usage =
  'usage: npm run quarantine -- list | retry ID | retry all (ID: PARTITION/SEQUENCE as `list` shows it, or the id)';

const [command, id] = process.argv.slice(2);
const isList = command === 'list' && id === undefined;
try {
  if (!isList && (command !== 'retry' || id === undefined)) throw new SettingError(usage);
  const work = (sql: postgres.Sql) => (isList ? list(sql) : retry(sql, id!));
  await withDatabase(readSettings(), console.error, work, { mustExist: true });
} catch (error) {
  if (!(error instanceof SettingError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function list(sql: postgres.Sql): Promise<void> {
  const waiting = await quarantined(sql);
  for (const record of waiting) {
    const books = record.booksKept ? '' : '; its account’s balance was refused too';
    console.log(
      `${placeOf(record)} ${record.id} ${record.at.toISOString()} ${record.sqlstate} ${record.error}${books}`,
    );
  }
  console.log(`${waiting.length} records are quarantined`);
}

/** In the order in which they were decided: a transaction's later record needs its earlier one. */
async function retry(sql: postgres.Sql, asked: string): Promise<void> {
  const chosen = (await quarantined(sql)).filter(
    (record) => asked === 'all' || asked === placeOf(record) || asked === record.id,
  );
  if (chosen.length === 0) throw new SettingError(`nothing is quarantined under ${asked}`);
  for (const record of chosen) {
    try {
      await retryQuarantined(sql, record.partition, record.sequence);
      console.log(`${placeOf(record)} ${record.id} is settled`);
    } catch (error) {
      console.error(`${placeOf(record)} ${record.id} is refused again: ${(error as Error).message}`);
      process.exitCode = 1;
    }
  }
}

function placeOf({ partition, sequence }: WaitingRecord): string {
  return `${partition}/${sequence}`;
}
