/** `npm run migrate`: brings the database of DATABASE_URL to this version. Safe to run twice, and side by side. */
import { migrate } from '../sql/migrate.js';
import { readSettings, SettingError } from './settings.js';

// As process 1 of a container it would ignore them. What a migration left half done, the next run does again.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(1));

try {
  const { databaseUrl, roles } = readSettings();
  if (databaseUrl === '') throw new SettingError('DATABASE_URL is not set: it names the database to migrate');
  const applied = await migrate({ databaseUrl, roles, log: console.log });
  console.log(
    applied.length === 0 ? 'the database is at this version already' : `applied ${applied.length} migrations`,
  );
} catch (error) {
  console.error(`migrate: ${(error as Error).message}`);
  process.exitCode = 1;
}
