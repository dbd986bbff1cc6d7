/**
 * One end of a connection between two engines: what both ends do alike. Frames of one event-loop turn leave in one
 * write. A connection on which nothing came for three looks, a second apart, counts as dead.
 */
import type { TLSSocket } from 'node:tls';
import { FrameReader, FrameWriter, type TakeFrame } from './peer-frames.js';

/** Looks without a byte from the other end, which sends something each second. */
export const silentLooksMax = 3;
export const lookMsDefault = 1000;

/**
 * Bytes that may wait for a slow peer: half a second of 10,000 messages a second of 1.6 KiB. Beyond it the asking
 * engine sends nothing more, and the answering engine reads nothing more.
 */
export const queueBytesMax = 8 * 1024 * 1024;

/**
 * A write costs both engines more than ten messages. So frames that come right after one wait for company, as long as a
 * timer waits at least.
 */
const gatherMs = 1;
/** What nothing waits for leaves with the next frames, and after this time at the latest. */
const lateMs = 5;

export class PeerConnection {
  readonly frames = new FrameWriter();
  readonly #socket: TLSSocket;
  readonly #reader: FrameReader;
  readonly #closed: (error: Error | null) => void;
  readonly #pausesWhenFull: boolean;
  #silentLooks = 0;
  #flushScheduled = false;
  #isLateScheduled = false;
  /** Frames wait that sendLate() was called for. */
  #holdsLate = false;
  #flushedAtMs = 0;
  #isClosed = false;
  bytesIn = 0;
  bytesOut = 0;

  /**
   * @param chunk called before the frames of each chunk that came
   * @param closed called once, with the reason where it is no usual end
   * @param pausesWhenFull reads nothing while too much waits for the other end. Only one end may: two could wait for
   *   each other.
   */
  constructor(
    socket: TLSSocket,
    chunk: () => void,
    take: TakeFrame,
    closed: (error: Error | null) => void,
    pausesWhenFull: boolean,
  ) {
    this.#socket = socket;
    this.#pausesWhenFull = pausesWhenFull;
    this.#closed = closed;
    this.#reader = new FrameReader(take);
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      if (this.#isClosed) return;
      this.#silentLooks = 0;
      this.bytesIn += bytes.length;
      try {
        chunk();
        this.#reader.push(bytes);
      } catch (error) {
        // Bytes that are no frames, or a frame that its taker could not bear: the other connections go on.
        this.close(error as Error);
      }
    });
    socket.on('error', (error) => this.close(error));
    socket.on('close', () => this.close(null));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether as many bytes as may wait for the other end. */
  get isFull(): boolean {
    return this.frames.length + this.#socket.writableLength > queueBytesMax;
  }

  /** Call after frames were laid: they leave at the end of the event-loop turn, or a little later with what follows. */
  send(): void {
    if (this.#flushScheduled || this.#isClosed) return;
    this.#flushScheduled = true;
    if (performance.now() - this.#flushedAtMs < gatherMs) setTimeout(this.#scheduled, gatherMs);
    else setImmediate(this.#scheduled);
  }

  /** As send(), for frames that nothing waits for now: they leave with the next ones. */
  sendLate(): void {
    this.#holdsLate = true;
    if (this.#flushScheduled || this.#isLateScheduled || this.#isClosed) return;
    this.#isLateScheduled = true;
    setTimeout(this.#late, lateMs);
  }

  readonly #late = (): void => {
    this.#isLateScheduled = false;
    this.flush();
  };

  readonly #scheduled = (): void => {
    this.#flushScheduled = false;
    this.flush();
  };

  /** Sends what was laid, now, where frames of sendLate() are among it. */
  flushLate(): void {
    if (this.#holdsLate) this.flush();
  }

  /** Sends what was laid, now. */
  flush(): void {
    if (this.#isClosed || this.frames.length === 0) return;
    this.#flushedAtMs = performance.now();
    this.#holdsLate = false;
    this.bytesOut += this.frames.length;
    const tookAll = this.#socket.write(this.frames.take());
    if (!tookAll && this.#pausesWhenFull && this.isFull && !this.#socket.isPaused()) {
      this.#socket.pause();
      this.#socket.once('drain', () => this.#socket.resume());
    }
  }

  /** Called each second. */
  look(): void {
    if (++this.#silentLooks > silentLooksMax) {
      this.close(new Error(`the other engine sent nothing for ${silentLooksMax} looks: its connection counts as dead`));
    }
  }

  close(error: Error | null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#reader.end();
    this.#socket.destroy();
    this.#closed(error);
  }
}
