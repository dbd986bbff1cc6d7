/** Lays the answers of a batch into its slab, one behind the other. */
import { assert } from '../../engine/core/invariant.js';
import { answerBytesMax } from '../../engine/core/limits.js';
import type { Outcome } from '../../engine/core/outcome.js';
import { Reason } from '../../engine/core/reasons.js';
import type { Request, TextSlice } from '../../engine/core/request.js';
import { AnswerFlag, EntryStatus, keySeparator, type Slab } from '../../engine/exchange/slab.js';
import type { Codec } from '../../engine/protocols/codec.js';
import { isUnsupported, type Refusal, writeFault } from '../../engine/protocols/refusal.js';
import { keptFormBytesMax, panKeysMax } from '../../platform/masking/hidden-ids.js';
import type { Root } from './root.js';

const separatorByte = keySeparator.charCodeAt(0);
const noSlices: readonly TextSlice[] = [];
assert(panKeysMax * keptFormBytesMax <= answerBytesMax, 'all forms of an id fit where the answer goes');

export class SlabAnswers {
  /** Where the next answer begins. */
  #end = 0;

  begin(): void {
    this.#end = 0;
  }

  beginEntry(slab: Slab, index: number): void {
    slab.answerStart[index] = this.#end;
    slab.answerFlags[index] = 0;
  }

  endEntry(slab: Slab, index: number): void {
    slab.answerEnd[index] = this.#end;
  }

  /** Nothing was decided, and a repeat may be. */
  unavailable(slab: Slab, index: number): void {
    slab.status[index] = EntryStatus.unavailable;
    slab.reason[index] = Reason.systemError;
  }

  /**
   * Names what must be looked up before the message can be decided.
   * @param others further forms of the same id
   */
  lookup(
    slab: Slab,
    index: number,
    status: number,
    source: Uint8Array,
    slice: TextSlice,
    others: readonly TextSlice[] = noSlices,
  ): void {
    slab.status[index] = status;
    this.#copy(slab, source, slice);
    for (const other of others) {
      slab.answer[this.#end++] = separatorByte;
      this.#copy(slab, source, other);
    }
  }

  #copy({ answer }: Slab, source: Uint8Array, { start, end }: TextSlice): void {
    for (let position = start; position < end; position++) answer[this.#end++] = source[position]!;
  }

  /** Answers a message that cannot be read with its fault, and one of an unsupported kind with a decline. */
  refuse(slab: Slab, index: number, codec: Codec, request: Request, refusal: Refusal): void {
    const { answer } = slab;
    slab.reason[index] = Reason.systemError;
    if (isUnsupported(refusal)) {
      slab.status[index] = EntryStatus.decided;
      slab.answerFlags[index] = AnswerFlag.unsupported;
      this.#end += codec.writeUnsupported!(answer, this.#end, request);
    } else {
      slab.status[index] = EntryStatus.malformed;
      this.#end += writeFault(answer, this.#end, refusal);
    }
  }

  /** @param root without one the message is its own, and its id stands in its own bytes */
  decided(slab: Slab, index: number, codec: Codec, request: Request, outcome: Outcome, root: Root): void {
    slab.status[index] = EntryStatus.decided;
    slab.reason[index] = outcome.reason;
    if (outcome.approved) slab.answerFlags[index]! |= AnswerFlag.approved;
    const source = root.isEmpty ? request.source : root.source;
    const id = root.isEmpty ? request.id : root;
    this.#end += codec.writeAnswer(slab.answer, this.#end, request, outcome, source, id);
  }
}
