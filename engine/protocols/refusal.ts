/**
 * Why a message is not decided, and the way of that from a partition to the front: a fault in JSON, a few hundred
 * bytes.
 */

import type { FieldError } from '../../platform/problems/field-error.js';
import { copyBytes } from './reading/write.js';

/**
 * A well-formed message of a kind this program does not decide (a processor's new method). It is declined, not
 * refused: the sender's grammar is right and a terminal is waiting. The request is filled as far as the answer echoes
 * it.
 */
export interface Unsupported extends FieldError {
  readonly unsupported: true;
  /** The kind as sent, card data masked and bounded: safe to log. */
  readonly kind: string;
}

/** Everything `read` can say instead of "here is your request". */
export type Refusal = FieldError | Unsupported;

export function isUnsupported(refusal: Refusal): refusal is Unsupported {
  return 'unsupported' in refusal;
}

/** Longest dotted path that is kept, in characters; ours are below 60. */
const fieldLengthMax = 128;
/** Room of all faults together, in characters: the fault fits into the answer of one message. */
const faultLengthMax = 1200;

/** Writes the fault at `target[offset…]`. @returns number of bytes written, at most answerBytesMax */
export function writeFault(target: Uint8Array, offset: number, fault: FieldError): number {
  const first = bounded(fault);
  const others: FieldError[] = [];
  let length = JSON.stringify(first).length;
  for (const other of fault.others ?? []) {
    const next = bounded(other);
    length += JSON.stringify(next).length;
    if (length > faultLengthMax) break;
    others.push(next);
  }
  return copyBytes(target, offset, Buffer.from(JSON.stringify({ ...first, others }))) - offset;
}

function bounded({ field, message }: FieldError): FieldError {
  return { field: field.slice(0, fieldLengthMax), message };
}

export function readFault(bytes: Uint8Array): FieldError {
  return JSON.parse(Buffer.from(bytes).toString()) as FieldError;
}
