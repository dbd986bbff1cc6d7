/**
 * Runs beside the tests' Postgres and stops it when no test has been connected for a while. Started by
 * test-database.ts; argument: the server's data folder. With `--now` it stops the server at once, for the end of a test
 * run.
 */
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { findEmbeddedPostgres, startEmbeddedPostgres } from '../embedded-postgres.js';
import { debianVersion } from './debian-postgres.js';
import { testServerDataDir } from './test-database.js';

const lookEveryMs = 5_000;
/**
 * Three minutes: longer than any test goes without it. One that came back in this very moment would meet a server that
 * stops.
 */
const idleLooksMax = 36;

if (process.argv[2] === '--now') {
  for (const durable of [false, true])
    for (const version of ['', debianVersion]) await stop(testServerDataDir(durable, version));
} else {
  await stopWhenIdle(process.argv[2] ?? testServerDataDir());
}

async function stopWhenIdle(dataDir: string): Promise<void> {
  let idleLooks = 0;
  while (idleLooks < idleLooksMax) {
    await delay(lookEveryMs);
    const url = await findEmbeddedPostgres(dataDir);
    // Stopped by someone else.
    if (url === null) return;
    idleLooks = (await clientCount(url)) === 0 ? idleLooks + 1 : 0;
  }
  await stop(dataDir);
}

async function clientCount(url: string): Promise<number> {
  const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => undefined });
  try {
    const [row] = await sql<{ count: number }[]>`
      select count(*)::integer as count from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid()`;
    return row?.count ?? 0;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Adopts the running server and stops it; does nothing when none runs. */
async function stop(dataDir: string): Promise<void> {
  if ((await findEmbeddedPostgres(dataDir)) === null) return;
  const server = await startEmbeddedPostgres({ dataDir, log: () => undefined });
  await server.stop();
}
