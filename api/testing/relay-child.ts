/**
 * A process that changes a personal card and stands still where its parent wants to kill it. Arguments: kind of store,
 * database URL, MongoDB URI, user, card, and where to stop: `changed` (nothing published) or `projected` (the mark is
 * still there). Says the word when it is there.
 */
import { projectCard } from '../stores/personal/projection.js';
import { openStore, type StoreKind } from './personal-stores.js';

const [kind, databaseUrl, mongoUri, userId, cardId, stopAt] = process.argv.slice(2) as [
  StoreKind,
  string,
  string,
  string,
  string,
  string,
];
const { store, database } = await openStore(kind, databaseUrl, mongoUri);
const outcome = await store.changeCard(userId, cardId, { status: 'frozen' }, null);
if (outcome.outcome !== 'changed') throw new Error(`not changed: ${outcome.outcome}`);
if (stopAt === 'projected') await projectCard(database, outcome.card);
console.log(stopAt);
setInterval(() => undefined, 1000);
