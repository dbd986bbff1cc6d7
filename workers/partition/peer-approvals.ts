/**
 * Which message of which engine was approved lately: the mark of the message, by the sequence of its record. Only the
 * engine whose message it was knows whether its client received the approval. A message with the same id may have come
 * from another client, at any engine, and that client may count on the answer.
 */

/** Records that it looks back: 13 s at 5,000 a second. A broken connection is noticed and made again within 5 s. */
export const peerApprovalsMax = 65_536;

export class PeerApprovals {
  /** Taken with the first one: 1 MB that an engine on its own never needs. */
  #sequences: Float64Array | null = null;
  #marks: Float64Array | null = null;

  add(sequence: number, mark: number): void {
    this.#sequences ??= new Float64Array(peerApprovalsMax);
    this.#marks ??= new Float64Array(peerApprovalsMax);
    const slot = sequence % peerApprovalsMax;
    this.#sequences[slot] = sequence;
    this.#marks[slot] = mark;
  }

  isOf(sequence: number, mark: number): boolean {
    const slot = sequence % peerApprovalsMax;
    return this.#sequences?.[slot] === sequence && this.#marks![slot] === mark;
  }

  /**
   * A repeat receives the answer: from now on its client may count on it.
   * @param mark of the repeat, 0 for none. The same one: its engine has sent the message again, for the same client.
   */
  repeated(sequence: number, mark: number): void {
    const slot = sequence % peerApprovalsMax;
    if (this.#sequences?.[slot] === sequence && this.#marks![slot] !== mark) this.#sequences[slot] = 0;
  }
}
