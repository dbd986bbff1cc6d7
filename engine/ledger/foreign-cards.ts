/**
 * Cards of partitions that other engines own. An engine that joins takes messages about them at once, and would ask
 * Postgres for the owner of each before it can send the message on.
 */
import { withDeadline } from '../../platform/process/deadline.js';
import type { Database } from '../lookups/database.js';
import type { Router } from './router.js';

/** Of a partition, those that were used last. The others are looked up. */
const cardsMax = 2000;
/** A start waits no longer; the rest is learnt beside the first messages. */
const waitMsMax = 2000;

export interface ForeignCardsOptions {
  readonly database: Pick<Database, 'recentCards'>;
  readonly router: Pick<Router, 'learnCards'>;
  readonly partitionCount: number;
  /** This engine is the owner, and learns them with the partition. */
  isOurs(partition: number): boolean;
}

/** Never rejects: without Postgres a card is looked up when a message names it. */
export async function learnForeignCards(options: ForeignCardsOptions): Promise<void> {
  const learning = learn(options).catch(() => undefined);
  await withDeadline(learning, waitMsMax, () => undefined);
}

async function learn({ database, router, partitionCount, isOurs }: ForeignCardsOptions): Promise<void> {
  for (let partition = 0; partition < partitionCount; partition++) {
    if (isOurs(partition)) continue;
    router.learnCards(await database.recentCards(partition, partitionCount, cardsMax), partition);
  }
}
