/** Work beside the requests, a round at a time with a rest between rounds. It never keeps a process alive. */
export class Rounds {
  readonly #round: () => Promise<void>;
  readonly #restMs: number;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  /** @param round must not reject: it handles its own errors */
  constructor(round: () => Promise<void>, restMs: number) {
    this.#round = round;
    this.#restMs = restMs;
  }

  /** A round that runs ends at its next step. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#round().finally(() => {
        if (!this.#isStopped) this.start();
      });
    }, this.#restMs);
    this.#timer.unref();
  }

  /** Resolves when the round that runs has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }
}
