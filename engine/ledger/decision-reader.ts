/**
 * Finds a decision by the id of its message, for the ops port: in the journals of the partitions, and among what is
 * settled. The partition that this engine knows for the id is asked first, the others only where nothing has it. That
 * is one look a partition at most.
 */
import { RecordOffset } from '../core/record.js';
import type { Database } from '../lookups/database.js';
import { commandIdPrefix } from '../protocols/commands/codec.js';
import { type DecisionView, viewOfDecision } from './decision-view.js';
import type { PartitionLooks } from './ledger-reader.js';
import type { FoundDecision } from './partition-host.js';

export interface DecisionReaderParts {
  readonly database: Pick<Database, 'decision'>;
  readonly looks: Pick<PartitionLooks, 'decision'>;
  readonly partitionCount: number;
  /** Where the id was asked, as far as this engine knows; −1: not known. */
  partitionOfId(id: Uint8Array): number;
}

interface Found {
  readonly partition: number;
  readonly sequence: number;
  readonly record: Buffer;
  readonly arrivalMs: number;
  readonly hopsMs: FoundDecision['hopsMs'];
}

export class DecisionReader {
  readonly #parts: DecisionReaderParts;

  constructor(parts: DecisionReaderParts) {
    this.#parts = parts;
  }

  /** @throws where a partition cannot be asked that may have it */
  async find(id: string): Promise<DecisionView | null> {
    // Deposits and withdrawals have ids of their own, which may be those of card messages too.
    const found = (await this.#find(id)) ?? (await this.#find(commandIdPrefix + id));
    return found === null ? null : viewOfDecision(found.partition, found.sequence, found.record, found.hopsMs);
  }

  async #find(id: string): Promise<Found | null> {
    const expected = this.#parts.partitionOfId(Buffer.from(id));
    const first = expected < 0 ? null : await this.#look(expected, id).catch(() => undefined);
    const settled = await this.#settled(id);
    let found = newest([first ?? null, settled]);
    if (found === null) {
      const others = Array.from({ length: this.#parts.partitionCount }, (_, partition) => partition);
      const left = others.filter((partition) => partition !== expected || first === undefined);
      // Read once more behind the looks: what has just left a journal is settled, and perhaps was not before.
      found = newest(await Promise.all(left.map((partition) => this.#look(partition, id))));
      found ??= await this.#settled(id);
    }
    return found;
  }

  async #look(partition: number, id: string): Promise<Found | null> {
    const found = await this.#parts.looks.decision(partition, id);
    return found === null ? null : { ...found, partition, record: Buffer.from(found.record, 'base64') };
  }

  async #settled(id: string): Promise<Found | null> {
    const found = await this.#parts.database.decision(id);
    if (found === null) return null;
    const record = Buffer.from(found.record);
    return { ...found, record, arrivalMs: record.readDoubleLE(RecordOffset.arrivalMs), hopsMs: null };
  }
}

/** Of the same id in several places the record that came last; of the same record the one that knows its hops. */
function newest(all: readonly (Found | null)[]): Found | null {
  return all.reduce((best, one) => {
    if (best === null || one === null) return best ?? one;
    const isLater = one.partition === best.partition ? one.sequence > best.sequence : one.arrivalMs > best.arrivalMs;
    return isLater ? one : best;
  }, null);
}
