/** `npm run rebuild-personal`: copies people, cards and history from DATABASE_URL to MONGODB_URI again. */

import { ConfigError } from '../platform/config/variables.js';
import { createLog } from '../platform/log.js';
import { readStoresConfig } from './config.js';
import { rebuildPersonal } from './feed/rebuild-personal.js';
import { DatabaseUnavailable } from './stores/database-errors.js';
import { MongoConnection } from './stores/personal/mongo-connection.js';
import { Database } from './stores/postgres.js';

try {
  await rebuild();
} catch (error) {
  if (!(error instanceof ConfigError || error instanceof DatabaseUnavailable)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function rebuild(): Promise<void> {
  const { postgres, mongodb, logLevel } = readStoresConfig(process.env);
  if (mongodb === null) throw new ConfigError('MONGODB_URI is not set: without MongoDB there is nothing to rebuild');
  const log = createLog(logLevel, 'rebuild-personal');
  const database = new Database(postgres, log, 'rebuild-personal');
  const connection = new MongoConnection(mongodb, log);
  try {
    await database.start();
    await connection.start();
    const apart = await rebuildPersonal(database, connection, log, console.log);
    console.log('people, cards and history in MongoDB are what Postgres has');
    if (apart === 0) return;
    console.error(`${apart} rows could not be copied: the collection personalCopiesApart names them`);
    process.exitCode = 1;
  } finally {
    await connection.close();
    await database.close();
  }
}
