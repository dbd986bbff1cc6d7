/**
 * Keeps the tests' MongoDB-protocol server: starts it, writes down where it is, and ends it when no test process has
 * lived for a while or on SIGTERM. Started by test-mongo.ts. With `--now` it ends the running keeper instead, for the
 * end of a test run.
 */
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePort } from '../free-port.js';
import { processIdentity } from '../process-identity.js';
import { MongoServer } from './mongo-server.js';
import { findKeptMongo, testMongoFolder } from './test-mongo.js';

const lookEveryMs = 1_000;
/** Long enough for the next test process of a run to come. */
const idleLooksMax = 30;
const endWaitMs = 10_000;

const folder = testMongoFolder();

if (process.argv[2] === '--now') await endKeeper();
else await keep();

async function keep(): Promise<void> {
  let isStopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      isStopping = true;
    });
  }
  // Databases of tests that are over are worth nothing.
  await rm(join(folder, 'data'), { recursive: true, force: true });
  const server = new MongoServer(await findFreePort(), join(folder, 'data'));
  await server.start();
  try {
    // Renamed when it is whole: readers never see half of it.
    const path = join(folder, 'server.json');
    await writeFile(`${path}.new`, JSON.stringify({ uri: server.uri, keeper: processIdentity(process.pid) }));
    await rename(`${path}.new`, path);
    let idleLooks = 0;
    while (!isStopping && idleLooks < idleLooksMax) {
      await delay(lookEveryMs);
      idleLooks = (await hasUsers()) ? 0 : idleLooks + 1;
    }
  } finally {
    await server.stop();
  }
}

async function hasUsers(): Promise<boolean> {
  const users = join(folder, 'users');
  let found = false;
  for (const name of await readdir(users)) {
    const identity = await readFile(join(users, name), 'utf8').catch(() => '');
    if (identity !== '' && processIdentity(Number.parseInt(name, 10)) === identity) found = true;
    else if (identity !== '') await rm(join(users, name), { force: true });
  }
  return found;
}

async function endKeeper(): Promise<void> {
  const kept = await findKeptMongo(folder);
  if (kept === null) return;
  process.kill(Number.parseInt(kept.keeper, 10), 'SIGTERM');
  const giveUpAtMs = Date.now() + endWaitMs;
  while ((await findKeptMongo(folder)) !== null && Date.now() < giveUpAtMs) await delay(50);
}
