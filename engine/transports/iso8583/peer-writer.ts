/**
 * Writes frames to a peer. The frames of one turn of the event loop leave in one write: answers come in batches, and a
 * write for each would cost more than deciding them.
 */
import type { Socket } from 'node:net';
import type { Framing } from '../../protocols/iso8583/framing.js';
import type { IsoMessage } from '../../protocols/iso8583/message.js';
import { pack } from '../../protocols/iso8583/pack.js';
import type { Packager } from '../../protocols/iso8583/packager.js';

/** Some hundred answers. */
const chunkBytes = 32_768;
/** A peer that has not taken so much is not read from any more. */
export const unwrittenBytesMax = 262_144;

export class PeerWriter {
  readonly #socket: Socket;
  readonly #packager: Packager;
  readonly #framing: Framing;
  /** Null: the socket still has the one before. */
  #chunk: Buffer | null = null;
  #used = 0;
  #isFlushing = false;

  constructor(socket: Socket, packager: Packager, framing: Framing) {
    this.#socket = socket;
    this.#packager = packager;
    this.#framing = framing;
  }

  /** What the peer has not taken is too much. */
  get isFull(): boolean {
    return this.#socket.writableLength > unwrittenBytesMax;
  }

  /**
   * A link whose packager does not have a field gets the message without it.
   * @param header of the message that this answers; null: it answers none
   * @returns false where the message does not fit into the link's form
   */
  write(message: IsoMessage, header: Uint8Array | null): boolean {
    const chunk = this.#room(this.#framing.frameBytesMax);
    const at = this.#used + this.#framing.overheadBytes;
    let length = pack(this.#packager, message, chunk, at);
    while (typeof length !== 'number') {
      if (length.fault !== 'unknown_field') return false;
      message.remove(length.field);
      length = pack(this.#packager, message, chunk, at);
    }
    this.#used += this.#framing.finish(chunk, this.#used, length, header, header !== null);
    return true;
  }

  writeKeepAlive(): void {
    this.#used += this.#framing.writeKeepAlive(this.#room(this.#framing.lengthBytes), this.#used);
  }

  #room(bytes: number): Buffer {
    if (this.#chunk !== null && this.#chunk.length - this.#used < bytes) this.flush();
    if (this.#chunk === null || this.#chunk.length < bytes) {
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, bytes));
    }
    if (!this.#isFlushing) {
      this.#isFlushing = true;
      queueMicrotask(this.#flushLater);
    }
    return this.#chunk;
  }

  readonly #flushLater = (): void => {
    this.#isFlushing = false;
    this.flush();
  };

  /** What the system has taken at once, as nearly always, leaves the chunk free for the next frames. */
  flush(): void {
    const chunk = this.#chunk;
    const used = this.#used;
    this.#used = 0;
    if (chunk === null || used === 0 || !this.#socket.writable) return;
    this.#socket.write(chunk.subarray(0, used));
    if (this.#socket.writableLength > 0) this.#chunk = null;
  }
}
