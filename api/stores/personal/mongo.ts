/**
 * The personal store in MongoDB. See store.ts; only what FerretDB 1.24 knows too, so no transactions.
 *
 * A change is guarded by the version in its filter, which MongoDB tests and writes as one step, whoever else writes.
 * FerretDB 1.24 does not (it reads, then writes), so changes of one card also queue within this process: that saves
 * MongoDB the conflicts and makes FerretDB safe for one API process, which is what development and tests have.
 */
import { type CardChange, judgeChange } from '../card-rules.js';
import { KeyedQueue } from '../keyed-queue.js';
import { type Collection, type Document, isDuplicateKey, type MongoConnection } from './mongo-connection.js';
import {
  type CardPage,
  type ChangeOutcome,
  changeAttemptsMax,
  mine,
  type PersonalCard,
  type PersonalProfile,
  type PersonalStore,
  StoreContended,
  type StoreHealth,
} from './store.js';

interface UserDocument extends Document, Omit<PersonalProfile, 'createdAt'> {
  readonly _id: string;
  readonly createdAt: Date;
}

interface CardDocument extends Document, Omit<PersonalCard, 'cardId' | 'createdAt'> {
  readonly _id: string;
  readonly createdAt: Date;
  /** Since when the newest version waits to be published; absent: it is. */
  readonly pending?: Date;
}

export class MongoPersonalStore implements PersonalStore {
  readonly kind = 'mongodb';
  readonly #connection: MongoConnection;
  readonly #users: Collection<UserDocument>;
  readonly #cards: Collection<CardDocument>;
  readonly #writes = new KeyedQueue();

  constructor(connection: MongoConnection) {
    this.#connection = connection;
    this.#users = connection.collection('personalUsers');
    this.#cards = connection.collection('personalCards');
  }

  start(): Promise<void> {
    return this.#connection.start();
  }
  close(): Promise<void> {
    return this.#connection.close();
  }
  health(): StoreHealth {
    return this.#connection.health();
  }

  async addProfile(profile: PersonalProfile): Promise<void> {
    const { userId, createdAt, ...rest } = profile;
    await this.#connection.run('personalUsers.add', async () => {
      try {
        await this.#users.insertOne({ _id: userId, userId, ...rest, createdAt: new Date(createdAt) });
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
      }
    });
  }

  async profile(userId: string): Promise<PersonalProfile | null> {
    const found = await this.#connection.run('personalUsers.find', (options) =>
      this.#users.findOne({ _id: userId }, options),
    );
    if (found === null) return null;
    const { email, name, kycStatus, createdAt } = found;
    return { userId, email, name, kycStatus, createdAt: createdAt.toISOString() };
  }

  async addCard(card: PersonalCard, published = false): Promise<PersonalCard> {
    const { cardId, createdAt, ...rest } = card;
    const document: CardDocument = {
      _id: cardId,
      ...rest,
      createdAt: new Date(createdAt),
      ...(published ? {} : { pending: new Date() }),
    };
    try {
      await this.#connection.run('personalCards.add', () => this.#cards.insertOne(document));
      return card;
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
      return mine(await this.card(card.userId, cardId), cardId);
    }
  }

  async card(userId: string, cardId: string): Promise<PersonalCard | null> {
    const found = await this.#connection.run('personalCards.find', (options) =>
      this.#cards.findOne({ _id: cardId, userId }, options),
    );
    return found === null ? null : cardOf(found);
  }

  async cards(userId: string, page: CardPage): Promise<PersonalCard[]> {
    const filter: Document = { userId };
    if (page.after !== null) {
      const createdAt = new Date(page.after[0]);
      filter['$or'] = [{ createdAt: { $lt: createdAt } }, { createdAt, _id: { $lt: page.after[1] } }];
    }
    const found = await this.#connection.run('personalCards.list', (options) =>
      this.#cards.find(filter, options).sort({ createdAt: -1, _id: -1 }).limit(page.limit).toArray(),
    );
    return found.map(cardOf);
  }

  changeCard(userId: string, cardId: string, change: CardChange, version: number | null): Promise<ChangeOutcome> {
    return this.#writes.run(cardId, async () => {
      for (let attempt = 0; attempt < changeAttemptsMax; attempt++) {
        const card = await this.card(userId, cardId);
        if (card === null) return { outcome: 'absent' };
        if (version !== null && card.version !== version) return { outcome: 'stale', version: card.version };
        const verdict = judgeChange(card, change);
        if (verdict === 'closed') return { outcome: 'closed', card };
        if (verdict === 'unchanged') return { outcome: 'unchanged', card };
        const changed: PersonalCard = { ...card, ...change, version: card.version + 1 };
        const { modifiedCount } = await this.#connection.run('personalCards.change', (options) =>
          this.#cards.updateOne(
            { _id: cardId, userId, version: card.version },
            { $set: { ...change, version: changed.version, pending: new Date() } },
            options,
          ),
        );
        if (modifiedCount === 1) return { outcome: 'changed', card: changed };
      }
      throw new StoreContended(cardId);
    });
  }

  async pendingCards(limit: number): Promise<PersonalCard[]> {
    const { value: found } = await this.#connection.runBehind('personalCards.pending', () =>
      this.#cards
        .find({ pending: { $exists: true } })
        .sort({ pending: 1, _id: 1 })
        .limit(limit)
        .toArray(),
    );
    return found.map(cardOf);
  }

  async postpone(cardId: string): Promise<void> {
    await this.#writes.run(cardId, () =>
      this.#connection.run('personalCards.postponed', (options) =>
        this.#cards.updateOne({ _id: cardId, pending: { $exists: true } }, { $set: { pending: new Date() } }, options),
      ),
    );
  }

  async clearPending(cardId: string, version: number): Promise<void> {
    await this.#writes.run(cardId, () =>
      this.#connection.run('personalCards.published', (options) =>
        this.#cards.updateOne({ _id: cardId, version }, { $unset: { pending: '' } }, options),
      ),
    );
  }
}

function cardOf(document: CardDocument): PersonalCard {
  const { _id: cardId, userId, accountId, token, name, status, expires, limits, version, createdAt } = document;
  return {
    cardId,
    userId,
    accountId,
    token,
    name,
    status,
    expires,
    limits,
    version,
    createdAt: createdAt.toISOString(),
  };
}
