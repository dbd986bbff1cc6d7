/**
 * Takes the frames out of what TCP delivers: glued, split, or both. One splitter a connection. Its memory is bounded by
 * one frame, and a connection without an unfinished frame has none.
 */
import { type Framing, keepAliveLength, tooLong } from './framing.js';

/** What ends a connection: no later byte of it can be trusted to begin a frame. */
export type FrameFault = 'wrong_length' | 'frame_too_long' | 'keep_alive_not_permitted';

export interface FrameHandler {
  /** A message: `bytes[start…end)`, its header: `bytes[headerAt…start)`. The bytes are valid during the call only. */
  frame(bytes: Uint8Array, start: number, end: number, headerAt: number): void;
  /** A frame of length zero came; a link with `keepAlive: 'echo'` sends one back. */
  keepAlive(): void;
}

const nothing = new Uint8Array(0);

export class FrameSplitter {
  readonly #framing: Framing;
  readonly #handler: FrameHandler;
  /** The beginning of a frame whose end has not come. */
  #pending: Uint8Array = nothing;
  #pendingBytes = 0;
  #isStopped = false;

  constructor(framing: Framing, handler: FrameHandler) {
    this.#framing = framing;
    this.#handler = handler;
  }

  /** Bytes of an unfinished frame: a connection that keeps some for long is slow or hostile. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Takes no more frames, not even those of the chunk in work: for a handler that closes the connection. */
  stop(): void {
    this.#isStopped = true;
    this.#pending = nothing;
    this.#pendingBytes = 0;
  }

  /**
   * Takes the next bytes of the connection, and calls the handler for each frame that is whole.
   * @returns null, or why the connection must be closed; then the splitter has stopped
   */
  push(chunk: Uint8Array): FrameFault | null {
    let at = 0;
    while (!this.#isStopped && at < chunk.length) {
      if (this.#pendingBytes === 0) {
        const taken = this.#take(chunk, at);
        if (typeof taken === 'string') return this.#fault(taken);
        if (taken === 0) return this.#keep(chunk, at, chunk.length - at);
        at += taken;
        continue;
      }
      const wanted = this.#wanted();
      if (typeof wanted === 'string') return this.#fault(wanted);
      const added = Math.min(wanted - this.#pendingBytes, chunk.length - at);
      this.#keep(chunk, at, added);
      at += added;
      if (this.#pendingBytes < wanted) continue;
      const taken = this.#take(this.#pending.subarray(0, wanted), 0);
      if (typeof taken === 'string') return this.#fault(taken);
      // With a length alone, the rest of the frame is still to come.
      if (taken > 0) this.#release();
    }
    return null;
  }

  /** Bytes of the pending frame as far as they are known: its length first, then all. */
  #wanted(): number | FrameFault {
    const { lengthBytes, headerBytes } = this.#framing;
    if (this.#pendingBytes < lengthBytes) return lengthBytes;
    const length = this.#framing.readLength(this.#pending, 0);
    if (length === keepAliveLength) return lengthBytes;
    return length < 0 ? faultOf(length) : lengthBytes + headerBytes + length;
  }

  /** Takes one frame at `bytes[at…]`. @returns its bytes, 0 where it is not whole, or a fault */
  #take(bytes: Uint8Array, at: number): number | FrameFault {
    const { lengthBytes, headerBytes } = this.#framing;
    const rest = bytes.length - at;
    if (rest < lengthBytes) return 0;
    const length = this.#framing.readLength(bytes, at);
    if (length === keepAliveLength) {
      if (this.#framing.keepAlive === 'refuse') return 'keep_alive_not_permitted';
      this.#handler.keepAlive();
      return lengthBytes;
    }
    if (length < 0) return faultOf(length);
    const start = at + lengthBytes + headerBytes;
    if (bytes.length < start + length) return 0;
    this.#handler.frame(bytes, start, start + length, at + lengthBytes);
    return lengthBytes + headerBytes + length;
  }

  #keep(chunk: Uint8Array, at: number, length: number): null {
    const needed = this.#pendingBytes + length;
    if (needed > this.#pending.length) {
      // Grows with what has come and not with what was announced: a length costs an attacker as many bytes as us.
      const grown = new Uint8Array(Math.min(Math.max(needed, 2 * this.#pending.length, 512), this.#capacity()));
      grown.set(this.#pending.subarray(0, this.#pendingBytes));
      this.#pending = grown;
    }
    this.#pending.set(chunk.subarray(at, at + length), this.#pendingBytes);
    this.#pendingBytes = needed;
    return null;
  }

  #capacity(): number {
    return Math.max(this.#framing.frameBytesMax, this.#framing.lengthBytes);
  }

  #release(): void {
    this.#pendingBytes = 0;
    this.#pending = nothing;
  }

  #fault(fault: FrameFault): FrameFault {
    this.stop();
    return fault;
  }
}

function faultOf(length: number): FrameFault {
  return length === tooLong ? 'frame_too_long' : 'wrong_length';
}
