/** Copies everything to MongoDB again: people, cards and history, beside APIs that run or without one. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../platform/log.js';
import type { MongoConnection } from '../stores/personal/mongo-connection.js';
import { MongoCopies } from '../stores/personal/mongo-copies.js';
import { MongoHistory } from '../stores/personal/mongo-history.js';
import type { Database } from '../stores/postgres.js';
import { LedgerIdentity, settledPositions } from '../stores/settled-ledger.js';
import { lagOf } from './ledger-tail.js';
import { PersonalCopies } from './personal-copies.js';
import { PersonalHistory } from './personal-history.js';

const lookEveryMs = 200;
const reportEveryMs = 5_000;

/**
 * Asks for a rebuild, and does it unless an API has the lease and does it. Asking again begins again, which is
 * harmless.
 * @param say hears how far it is
 * @returns how many rows could not be copied
 */
export async function rebuildPersonal(
  database: Database,
  connection: MongoConnection,
  log: Log,
  say: (text: string) => void,
): Promise<number> {
  const identity = new LedgerIdentity(database);
  const ledger = await identity.read();
  const copies = new MongoCopies(connection);
  const history = new MongoHistory(connection, () => identity.read());
  const name = randomUUID();
  await copies.positions.requestRebuild(ledger, name);
  await history.positions.requestRebuild(ledger, name);
  const followers = [
    new PersonalCopies(copies, database, identity, log),
    new PersonalHistory(history, database, identity, log).tail,
  ];
  let saidAtMs = performance.now();
  try {
    for (;;) {
      for (const follower of followers) await follower.catchUp();
      const [{ position, rebuild: copiesAsked }, { position: positions, rebuild: historyAsked }, settled] =
        await Promise.all([copies.positions.find(ledger), history.positions.find(ledger), settledPositions(database)]);
      const lag = lagOf(settled, positions ?? {});
      const isCopied = copiesAsked === null && position !== null && !position.isSweeping;
      if (isCopied && historyAsked === null && lag === 0) return await copies.countApart(ledger);
      if (performance.now() - saidAtMs > reportEveryMs) {
        saidAtMs = performance.now();
        const { users, cards } = position ?? { users: { number: 0 }, cards: { number: 0 } };
        say(`users up to ${users.number}, cards up to ${cards.number}, ${lag} messages of the history left`);
      }
      await delay(lookEveryMs);
    }
  } finally {
    for (const follower of followers) await follower.stop();
  }
}
