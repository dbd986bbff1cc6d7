/** What can go wrong with a journal, each with a stable code and a text that says what to do. No card data in any. */
import { seeRunbook } from '../../platform/runbook.js';

/**
 * An append could not be proved durable. The writer that threw it refuses everything for ever after. After a failed
 * fdatasync the kernel may have dropped the dirty pages and marked them clean. A second fdatasync would succeed without
 * a write. Only a restart, which reads the disk and rewrites the end, may go on.
 */
export class JournalFailedError extends Error {
  override readonly name = 'JournalFailedError';
  readonly code = 'JOURNAL_FAILED';
  constructor(partition: number, cause: unknown) {
    super(
      `the journal of partition ${partition} could not be written and takes nothing more until its worker is ` +
        `restarted: ${causeText(cause)} (${seeRunbook('failed-journal')})`,
      { cause },
    );
  }
}

/**
 * A file of this name in a folder without segments: an operator lets the journal begin again behind what Postgres has.
 */
export const beginAnewName = 'begin-anew';

/** The journal on disk is not what was written. It is never used: no record of it is replayed, settled or added to. */
export class JournalCorruptError extends Error {
  override readonly name = 'JournalCorruptError';
  readonly code = 'JOURNAL_CORRUPT';
  /**
   * @param file path of the segment
   * @param offset byte in the file at which the part that is wrong begins
   * @param sequence the record that should begin there
   * @param detail what is wrong
   */
  constructor(
    readonly file: string,
    readonly offset: number,
    readonly sequence: number,
    readonly detail: string,
  ) {
    super(
      `the journal is damaged: ${file} at byte ${offset}, where record ${sequence} should begin: ${detail}. ` +
        'Nothing of this journal was used. Copy the folder before anything else. Then put an undamaged copy of it ' +
        `back; or, accepting that approvals which Postgres does not have yet are forgotten (record ${sequence} and ` +
        'later of this partition, and any before it that were not settled), put an empty folder with an empty file ' +
        `${beginAnewName} in its place: ` +
        seeRunbook('damaged-journal'),
    );
  }
}

/** The journal and Postgres disagree about where this partition stands. */
export class JournalPositionError extends Error {
  override readonly name = 'JournalPositionError';
  readonly code = 'JOURNAL_POSITION';
  constructor(
    partition: number,
    readonly firstSequence: number,
    readonly lastSequence: number,
    readonly settledSequence: number,
  ) {
    super(
      `partition ${partition}: the journal holds ${
        lastSequence < firstSequence
          ? `no record yet and goes on at ${firstSequence}`
          : `records ${firstSequence} to ${lastSequence}`
      }, but Postgres says that record ${settledSequence} was the last one settled. ` +
        (lastSequence < settledSequence
          ? 'The journal is older than the database. Set DATA_DIR to the folder that this database was used with. If ' +
            `that journal was deleted and there is no copy of it, an empty file ${beginAnewName} in ` +
            `DATA_DIR/journal/p${partition} lets it begin again, without what Postgres did not have yet: ` +
            `${seeRunbook('deleted-journal')}`
          : 'The database is older than the journal (was it restored from a backup?): records between the two are in ' +
            `neither: ${seeRunbook('backup-and-restore')}`),
    );
  }
}

/**
 * An engine with a newer lease has written this journal: ours is not the database that it belongs to, or not any more.
 */
export class JournalEpochError extends Error {
  override readonly name = 'JournalEpochError';
  readonly code = 'JOURNAL_EPOCH';
  constructor(
    partition: number,
    readonly journalEpoch: number,
    readonly leaseEpoch: number,
  ) {
    super(
      `partition ${partition}: the journal was written under epoch ${journalEpoch}, and this start has epoch ` +
        `${leaseEpoch} from the database: the database was restored from a backup, or DATA_DIR belongs to another ` +
        'one. Nothing was changed. Start with the database that this journal was written for; or, if this one is to ' +
        `go on with it, run "update writer_leases set epoch = ${journalEpoch}" there and start again.`,
    );
  }
}

/** The journal and Postgres have different records under one number: they took different courses. */
export class JournalRecordError extends Error {
  override readonly name = 'JournalRecordError';
  readonly code = 'JOURNAL_RECORD';
  constructor(
    partition: number,
    readonly sequence: number,
  ) {
    super(
      `partition ${partition}: record ${sequence} of the journal is not the record ${sequence} that Postgres ` +
        'settled: the database was restored from an older copy and went on with another journal since, or DATA_DIR ' +
        `belongs to another database. Nothing was changed. ${seeRunbook('foreign-journal')}`,
    );
  }
}

/**
 * The journal was written by another number of partitions: accounts, and the ids asked about them, were divided
 * otherwise.
 */
export class JournalPartitionCountError extends Error {
  override readonly name = 'JournalPartitionCountError';
  readonly code = 'JOURNAL_PARTITION_COUNT';
  constructor(
    readonly directory: string,
    readonly found: number,
    readonly wanted: number,
  ) {
    super(
      `${directory} was written with PARTITIONS=${found}, and this start has PARTITIONS=${wanted}: the number cannot ` +
        `be changed, start with PARTITIONS=${found}`,
    );
  }
}

function causeText(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
