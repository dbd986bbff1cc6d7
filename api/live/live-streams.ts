/** The clients of `GET /api/live`: bounded, and ended when their owner may not read any more. */
import { Problem, unavailable } from '../http/problem.js';
import type { History } from './history.js';
import { LiveStream, type StreamOwner } from './live-stream.js';
import type { TickRing } from './tick-ring.js';

/** Each takes 4 writes a second and a connection. */
const streamsMax = 250;
/** An owner whose session has ended reads for 5 s more at most: one look may just have missed it. */
const confirmEveryMs = 2000;
/** While the database is away an operator goes on looking, for so long. */
const unconfirmedMsMax = 60_000;
const heartbeatEveryMs = 15_000;
/** How long a client waits before it connects again, ms. */
const retry = 'retry: 1000\n\n';

export interface LiveStreamsOptions {
  readonly ring: TickRing;
  readonly history: History;
  /** Wall clock ms. */
  nowMs(): number;
}

export class LiveStreams {
  readonly #options: LiveStreamsOptions;
  readonly #streams = new Set<LiveStream>();
  readonly #timers: NodeJS.Timeout[] = [];
  #isConfirming = false;
  #isEnding = false;
  // For the metrics.
  opened = 0;
  refused = 0;

  constructor(options: LiveStreamsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#streams.size;
  }

  start(): void {
    this.#timers.push(
      setInterval(() => void this.#confirmAll(), confirmEveryMs),
      setInterval(() => this.#each((stream) => stream.beat()), heartbeatEveryMs),
    );
  }

  /** @param lastEventId '' for none. Throws 503. */
  open(owner: StreamOwner, lastEventId: string): LiveStream {
    if (this.#isEnding) throw unavailable('this server stops; connect again', 1, 'shutting_down');
    if (this.#streams.size >= streamsMax) {
      this.refused++;
      throw unavailable(`${streamsMax} live streams are open; try again`, 5, 'overloaded');
    }
    const { ring, history, nowMs } = this.#options;
    const resumed = ring.resumable(lastEventId);
    const head = resumed === null ? `${retry}event: history\ndata: ${JSON.stringify(history.shown)}\n\n` : retry;
    // A new client gets the newest tick at once.
    const place = resumed ?? Math.max(0, ring.newest - 1);
    const stream = new LiveStream(owner, ring, Buffer.from(head), place, nowMs());
    this.opened++;
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    return stream;
  }

  /** The ring has a tick more. */
  ticked(): void {
    this.#each((stream) => stream.flush());
  }

  #each(act: (stream: LiveStream) => void): void {
    for (const stream of this.#streams) act(stream);
  }

  /** Asks once for each owner. */
  async #confirmAll(): Promise<void> {
    // A database that is slow is asked again when it has answered.
    if (this.#isConfirming) return;
    this.#isConfirming = true;
    const byOwner = new Map<string, LiveStream[]>();
    for (const stream of this.#streams) {
      const { name } = stream.owner;
      byOwner.set(name, [...(byOwner.get(name) ?? []), stream]);
    }
    await Promise.all([...byOwner.values()].map((streams) => this.#confirm(streams)));
    this.#isConfirming = false;
  }

  async #confirm(streams: readonly LiveStream[]): Promise<void> {
    const { nowMs } = this.#options;
    try {
      await streams[0]!.owner.confirm();
      for (const stream of streams) stream.confirmedMs = nowMs();
    } catch (error) {
      const isRefused = error instanceof Problem && error.status < 500;
      for (const stream of streams) {
        if (isRefused || nowMs() - stream.confirmedMs > unconfirmedMsMax) stream.end();
      }
    }
  }

  /** Ends all: a stop does not wait for clients. */
  end(): void {
    this.#isEnding = true;
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    this.#each((stream) => stream.end());
  }
}
