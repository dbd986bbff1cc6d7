/** The root id of a message's transaction: a slice of the slab or of a record. Empty: the message is its own root. */
import { readRecordRoot } from '../../engine/core/record.js';
import type { TextSlice } from '../../engine/core/request.js';

export class Root implements TextSlice {
  source: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;

  get isEmpty(): boolean {
    return this.end === this.start;
  }

  clear(): void {
    this.start = 0;
    this.end = 0;
  }

  set(source: Uint8Array, start: number, end: number): void {
    this.source = source;
    this.start = start;
    this.end = end;
  }

  /** The root that a record names; the record's own id when it is its own root. */
  read(source: Uint8Array, view: DataView, offset: number): void {
    this.source = source;
    readRecordRoot(view, offset, this);
  }
}
