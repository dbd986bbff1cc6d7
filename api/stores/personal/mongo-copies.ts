/**
 * Copies of people and their cards in MongoDB (`personalUsers`, `personalCards`) for other programs that read there.
 * The follower (api/feed/personal-copies.ts) writes them from Postgres, and no part of ours reads them. An older
 * version of a row never replaces a newer one of the same generation; a later generation, which reads everything again,
 * replaces all.
 */
import { maskCardData } from '../../../platform/masking/redact.js';
import type { CardCopy, CopyKind, CopyPlace, PersonCopy } from './copy-source.js';
import {
  type AnyBulkWriteOperation,
  type Collection,
  type Document,
  type Measured,
  type MongoConnection,
  refusalsOf,
} from './mongo-connection.js';
import { MongoPositions } from './mongo-positions.js';

/** Which ledger was copied, and in which generation. */
export interface CopyStamp {
  readonly ledger: string;
  /** Rises whenever everything is copied again. */
  readonly generation: number;
}

type CopyDocument = Document & { readonly _id: string };

export interface CopyPosition extends CopyPlace {
  readonly generation: number;
  /** Everything is being copied again; what the ledger does not have is still there. */
  readonly isSweeping: boolean;
  /** How far the step may have come that was begun last; null: the step before it was the last. */
  readonly ahead: CopyPlace | null;
}

/** A row that could not be copied, kept until it can be. */
export interface ApartRow {
  readonly kind: CopyKind;
  readonly id: string;
  readonly number: number;
  readonly reason: string;
}

interface ApartDocument extends Document {
  readonly _id: string;
  readonly ledger: string;
  readonly kind: CopyKind;
  readonly id: string;
  readonly number: number;
  readonly reason: string;
  readonly triedAt: Date;
}

const reasonLengthMax = 300;

export class MongoCopies {
  readonly #connection: MongoConnection;
  readonly #copies: Readonly<Record<CopyKind, Collection<CopyDocument>>>;
  readonly positions: MongoPositions<CopyPosition>;
  readonly #apart: Collection<ApartDocument>;

  constructor(connection: MongoConnection) {
    this.#connection = connection;
    this.#copies = {
      personalUsers: connection.collection('personalUsers'),
      personalCards: connection.collection('personalCards'),
    };
    this.positions = new MongoPositions(connection, 'personalCopies/', 'position');
    this.#apart = connection.collection('personalCopiesApart');
  }

  /**
   * Writes copies that are newer than what is there.
   * @returns why the others could not be written, by id
   */
  async write(
    kind: CopyKind,
    stamp: CopyStamp,
    copies: readonly (PersonCopy | CardCopy)[],
  ): Promise<Measured<ReadonlyMap<string, string>>> {
    const documents = copies.map((copy): CopyDocument => ({ ...copy, ...stamp }));
    const all = await this.#replace(kind, stamp, documents);
    if (all.value === null) return { ...all, value: new Map() };
    // The server may have refused all for one: each by itself says which.
    let { tookMs } = all;
    const refused = new Map<string, string>();
    for (const document of documents) {
      const one = await this.#replace(kind, stamp, [document]);
      tookMs += one.tookMs;
      if (one.value !== null) refused.set(document._id, one.value);
    }
    return { value: refused, tookMs };
  }

  /** @returns why documents were refused; null when none was */
  async #replace(
    kind: CopyKind,
    { generation }: CopyStamp,
    documents: readonly CopyDocument[],
  ): Promise<Measured<string | null>> {
    const operations = documents.map((document): AnyBulkWriteOperation<CopyDocument> => {
      const { _id } = document;
      const isOlder: Document[] = [
        // Also one without a generation.
        { generation: { $not: { $gte: generation } } },
        { generation, version: { $lt: document['version'] } },
      ];
      return { replaceOne: { filter: { _id, $or: isOlder }, replacement: document, upsert: true } };
    });
    return this.#connection.runBehind(`${kind}.copy`, async () => {
      try {
        await this.#copies[kind].bulkWrite(operations, { ordered: false });
        return null;
      } catch (error) {
        // A row that is there in a newer version is refused as a duplicate.
        const reason = refusalsOf(error);
        return reason === null ? null : maskCardData(reason).slice(0, reasonLengthMax);
      }
    });
  }

  /** Removes what an earlier generation copied, or an earlier version of this program. */
  async removeOlder(kind: CopyKind, { ledger, generation }: CopyStamp): Promise<number> {
    const { value } = await this.#connection.runBehind(`${kind}.removeOlder`, () =>
      this.#copies[kind].deleteMany({
        $or: [{ ledger, generation: { $not: { $gte: generation } } }, { ledger: { $exists: false } }],
      }),
    );
    return value.deletedCount;
  }

  /** @returns whether the row was not set apart before */
  async setApart(ledger: string, { kind, id, number, reason }: ApartRow): Promise<boolean> {
    const { value } = await this.#connection.runBehind('personalCopiesApart.add', () =>
      this.#apart.updateOne(
        { _id: `${kind}/${id}` },
        { $set: { ledger, kind, id, number, reason, triedAt: new Date() } },
        { upsert: true },
      ),
    );
    return value.upsertedCount === 1;
  }

  /** Rows that were set apart, longest ago first. */
  async apart(ledger: string, limit: number): Promise<readonly ApartRow[]> {
    const { value } = await this.#connection.runBehind('personalCopiesApart.list', () =>
      this.#apart.find({ ledger }).sort({ triedAt: 1 }).limit(limit).toArray(),
    );
    return value;
  }

  async countApart(ledger: string): Promise<number> {
    const { value } = await this.#connection.runBehind('personalCopiesApart.count', () =>
      this.#apart.countDocuments({ ledger }),
    );
    return value;
  }

  async clearApart(kind: CopyKind, ids: readonly string[]): Promise<void> {
    const names = ids.map((id) => `${kind}/${id}`);
    await this.#connection.runBehind('personalCopiesApart.clear', () =>
      this.#apart.deleteMany({ _id: { $in: names } }),
    );
  }
}
