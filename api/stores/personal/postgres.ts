/** The personal store in Postgres JSONB: for the embedded run and deployments without MongoDB. See store.ts. */
import { type CardChange, judgeChange } from '../card-rules.js';
import type { Database } from '../postgres.js';
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

interface CardRow {
  readonly document: PersonalCard;
}

export class PostgresPersonalStore implements PersonalStore {
  readonly kind = 'postgres';
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Its tables come with the migrations. */
  async start(): Promise<void> {}
  /** The pool is not ours. */
  async close(): Promise<void> {}

  health(): StoreHealth {
    return this.#database.health();
  }

  async addProfile(profile: PersonalProfile): Promise<void> {
    await this.#database.run(
      'personal_users.add',
      (sql) => sql`
        insert into personal_users (user_id, document, created_at)
        values (${profile.userId}, ${sql.json({ ...profile })}, ${profile.createdAt}::timestamptz)
        on conflict (user_id) do nothing`,
    );
  }

  async profile(userId: string): Promise<PersonalProfile | null> {
    const [row] = await this.#database.run(
      'personal_users.find',
      (sql) => sql<{ document: PersonalProfile }[]>`select document from personal_users where user_id = ${userId}`,
    );
    return row?.document ?? null;
  }

  async addCard(card: PersonalCard, published = false): Promise<PersonalCard> {
    // The union finds the card that was there before: the insert's own snapshot does not see its row, only returns it.
    const [row] = await this.#database.run(
      'personal_cards.add',
      (sql) => sql<CardRow[]>`
        with added as (
          insert into personal_cards (card_id, user_id, document, version, created_at, pending_since)
          values (
            ${card.cardId}, ${card.userId}, ${sql.json(documentOf(card))}, ${card.version}, ${card.createdAt}::timestamptz,
            ${published ? null : new Date().toISOString()}::timestamptz
          )
          on conflict (card_id) do nothing
          returning document
        )
        select document from added
        union all
        select document from personal_cards where card_id = ${card.cardId} and user_id = ${card.userId}
        limit 1`,
    );
    // Empty only when another insert of the same id committed after our snapshot: it is there now.
    return mine(row?.document ?? (await this.card(card.userId, card.cardId)), card.cardId);
  }

  async card(userId: string, cardId: string): Promise<PersonalCard | null> {
    const [row] = await this.#database.run(
      'personal_cards.find',
      (sql) => sql<CardRow[]>`
        select document from personal_cards where card_id = ${cardId} and user_id = ${userId}`,
    );
    return row?.document ?? null;
  }

  async cards(userId: string, page: CardPage): Promise<PersonalCard[]> {
    const rows = await this.#database.run(
      'personal_cards.list',
      (sql) => sql<CardRow[]>`
        select document from personal_cards
        where user_id = ${userId}
          ${page.after === null ? sql`` : sql`and (created_at, card_id) < (${page.after[0]}::timestamptz, ${page.after[1]})`}
        order by created_at desc, card_id desc
        limit ${page.limit}`,
    );
    return rows.map((row) => row.document);
  }

  async changeCard(userId: string, cardId: string, change: CardChange, version: number | null): Promise<ChangeOutcome> {
    for (let attempt = 0; attempt < changeAttemptsMax; attempt++) {
      const card = await this.card(userId, cardId);
      if (card === null) return { outcome: 'absent' };
      if (version !== null && card.version !== version) return { outcome: 'stale', version: card.version };
      const verdict = judgeChange(card, change);
      if (verdict === 'closed') return { outcome: 'closed', card };
      if (verdict === 'unchanged') return { outcome: 'unchanged', card };
      const changed: PersonalCard = { ...card, ...change, version: card.version + 1 };
      const done = await this.#database.run(
        'personal_cards.change',
        (sql) => sql`
          update personal_cards set
            document = ${sql.json(documentOf(changed))}, version = ${changed.version},
            pending_since = coalesce(pending_since, ${new Date().toISOString()}::timestamptz)
          where card_id = ${cardId} and user_id = ${userId} and version = ${card.version}
          returning 1`,
      );
      if (done.length === 1) return { outcome: 'changed', card: changed };
    }
    throw new StoreContended(cardId);
  }

  async pendingCards(limit: number): Promise<PersonalCard[]> {
    const rows = await this.#database.run(
      'personal_cards.pending',
      (sql) => sql<CardRow[]>`
        select document from personal_cards where pending_since is not null order by pending_since, card_id limit ${limit}`,
    );
    return rows.map((row) => row.document);
  }

  async postpone(cardId: string): Promise<void> {
    await this.#database.run(
      'personal_cards.postponed',
      (sql) => sql`
        update personal_cards set pending_since = ${new Date().toISOString()}::timestamptz
        where card_id = ${cardId} and pending_since is not null`,
    );
  }

  async clearPending(cardId: string, version: number): Promise<void> {
    await this.#database.run(
      'personal_cards.published',
      (sql) => sql`
        update personal_cards set pending_since = null where card_id = ${cardId} and version = ${version}`,
    );
  }
}

/** A value that the driver takes as JSON: an interface has no index signature. */
function documentOf(card: PersonalCard) {
  return { ...card, limits: { ...card.limits } as never };
}
