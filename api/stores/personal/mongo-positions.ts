/** How far a follower has come with a ledger, kept in MongoDB beside what it has copied: a new MongoDB begins again. */
import type { Collection, Document, MongoConnection } from './mongo-connection.js';

interface PositionDocument extends Document {
  readonly _id: string;
  /** Name of the rebuild that was requested last, and of the one that began last. */
  readonly rebuild?: string;
  readonly rebuilt?: string;
}

export class MongoPositions<Position> {
  readonly #connection: MongoConnection;
  readonly #prefix: string;
  readonly #field: string;
  readonly #positions: Collection<PositionDocument>;

  /**
   * @param prefix names the follower: one document per follower and ledger
   * @param field member of the document that holds the position
   */
  constructor(connection: MongoConnection, prefix: string, field: string) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#field = field;
    this.#positions = connection.collection('followerPositions');
  }

  /** The position (null: nothing of that ledger was copied), and the name of a rebuild that is still to be done. */
  async find(ledger: string): Promise<{ readonly position: Position | null; readonly rebuild: string | null }> {
    const document: Document | null = await this.#connection.run('followerPositions.find', (options) =>
      this.#positions.findOne({ _id: this.#prefix + ledger }, options),
    );
    const { [this.#field]: position = null, rebuild = null, rebuilt = null } = document ?? {};
    return { position, rebuild: rebuild === rebuilt ? null : rebuild };
  }

  /** @param rebuilt names a rebuild that begins with this position */
  async save(ledger: string, position: Position, rebuilt: string | null = null): Promise<void> {
    const begun = rebuilt === null ? {} : { rebuilt };
    await this.#set('followerPositions.save', ledger, { [this.#field]: position, savedAt: new Date(), ...begun });
  }

  /** Requests that the API with the lease copies everything again. */
  async requestRebuild(ledger: string, name: string): Promise<void> {
    await this.#set('followerPositions.rebuild', ledger, { rebuild: name });
  }

  async #set(operation: string, ledger: string, members: Document): Promise<void> {
    await this.#connection.run(operation, (options) =>
      this.#positions.updateOne({ _id: this.#prefix + ledger }, { $set: members }, { ...options, upsert: true }),
    );
  }
}
