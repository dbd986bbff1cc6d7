/** Work beside the requests, a round at a time with a rest between rounds. It never keeps a process alive. */
export class Rounds {
  readonly #round: () => Promise<number>;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  /** @param round returns how long to rest, in ms; must not reject: it handles its own errors */
  constructor(round: () => Promise<number>) {
    this.#round = round;
  }

  /** A round that runs ends at its next step. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  start(waitMs: number): void {
    this.#isStopped = false;
    this.#schedule(waitMs);
  }

  /** Resolves when the round that runs has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(waitMs: number): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#round().then((restMs) => this.#schedule(restMs));
    }, waitMs);
    this.#timer.unref();
  }
}
