/**
 * Reads of an answer of the authorization port what a load generator must know: is it the answer to this question, and
 * is it a yes or a no? Works on the bytes; the usual order of fields is tried first.
 */
import type { AnswerView } from './answer.js';

export const Decision = {
  approved: 0,
  declined: 1,
  /** Carries the id and no decision: an echo does. */
  none: 2,
  /** Not the id of the question. */
  otherId: 3,
} as const;
export type Decision = (typeof Decision)[keyof typeof Decision];

const idStart = Buffer.from('{"id":"', 'latin1');
const approvedKey = Buffer.from('"approved":', 'latin1');
const letterT = 't'.charCodeAt(0);
const letterF = 'f'.charCodeAt(0);

export class DecisionReader {
  /** Where `"approved":` stood after the id in the last answer: the same place in the next, nearly always. */
  #approvedDistance = -1;

  /** @param id bytes of the question that hold its id at `idOffset` */
  read(answer: AnswerView, id: Uint8Array, idOffset: number, idLength: number): Decision {
    if (!echoesId(answer, id, idOffset, idLength)) return Decision.otherId;
    const { bytes, bodyStart, bodyEnd } = answer;
    const base = bodyStart + idStart.length + idLength;
    const at = base + this.#approvedDistance;
    if (this.#approvedDistance >= 0 && at + approvedKey.length < bodyEnd && matches(bytes, at, approvedKey)) {
      return verdictAt(bytes[at + approvedKey.length]);
    }
    const found = Buffer.from(bytes.buffer, bytes.byteOffset + bodyStart, bodyEnd - bodyStart).indexOf(approvedKey);
    if (found < 0) return Decision.none;
    this.#approvedDistance = found + bodyStart - base;
    return verdictAt(bytes[bodyStart + found + approvedKey.length]);
  }
}

function verdictAt(first: number | undefined): Decision {
  return first === letterT ? Decision.approved : first === letterF ? Decision.declined : Decision.none;
}

/** True when the answer's body carries this id as its own. */
export function echoesId(answer: AnswerView, id: Uint8Array, idOffset: number, idLength: number): boolean {
  const { bytes, bodyStart, bodyEnd } = answer;
  const idAt = bodyStart + idStart.length;
  if (idAt + idLength < bodyEnd && matches(bytes, bodyStart, idStart)) {
    // From the end: the running number differs first.
    let index = idLength - 1;
    while (index >= 0 && bytes[idAt + index] === id[idOffset + index]) index--;
    return index < 0;
  }
  // The id may stand elsewhere in the object; slow, and only for servers that order their fields otherwise.
  try {
    const body: unknown = JSON.parse(Buffer.from(bytes.subarray(bodyStart, bodyEnd)).toString());
    const asked = Buffer.from(id.subarray(idOffset, idOffset + idLength)).toString('latin1');
    return typeof body === 'object' && body !== null && 'id' in body && body.id === asked;
  } catch {
    return false;
  }
}

function matches(bytes: Uint8Array, offset: number, needle: Uint8Array): boolean {
  for (let index = 0; index < needle.length; index++) if (bytes[offset + index] !== needle[index]) return false;
  return true;
}
