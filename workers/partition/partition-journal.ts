/** What a partition needs of its journal; workers/journal/journal.ts is the real one. */
export interface PartitionJournal {
  /** The frame in the making: records are written from recordsStart on. Valid after reserve(). */
  readonly frame: Uint8Array;
  readonly view: DataView;
  readonly recordsStart: number;
  /** Sequence of the next record, 1-based. */
  readonly nextSequence: number;
  /** Where byte 0 of the frame in the making will stand in the journal. Valid after reserve(). */
  readonly frameLocation: number;
  /**
   * Makes room for a frame with `bytes` of records. False: no room on disk or too much unsettled; nothing was lost.
   * A batch that revokes approvals gets room where others get none.
   */
  reserve(bytes: number, revokes?: boolean): boolean;
  /**
   * Adds the batch to what is written next. Throws when the disk has failed: then the journal takes no more records.
   */
  append(end: number, count: number, atMs: number): number;
  /** Instead of append(), when the batch left no record. */
  release(): void;
  /**
   * Reads the record at a location into `target`.
   * @returns its length, 0 when its segment has gone, −1 when it cannot be read now
   */
  read(location: number, target: Uint8Array): number;
}
