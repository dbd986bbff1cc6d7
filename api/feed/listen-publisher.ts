/** The relay's voice without Redis: numbering already notifies (feed_number), so only heartbeats are left to say. */
import type { FeedEntry } from '../../engine/core/feed.js';
import type { RelayOutbox } from './outbox.js';
import { type Publisher, type Reported, readReport } from './publisher.js';

export class ListenPublisher implements Publisher {
  readonly name = 'postgres';
  readonly carriesEntries = false;
  readonly #outbox: RelayOutbox;
  #failure = '';

  constructor(outbox: RelayOutbox) {
    this.#outbox = outbox;
  }

  get failure(): string {
    return this.#failure;
  }

  async start(reported: Reported): Promise<void> {
    await this.#outbox.listen(
      'feed_applied',
      (text) => readReport(text, reported),
      () => undefined,
    );
  }

  async publish(entries: readonly FeedEntry[], newest: number): Promise<boolean> {
    // The engines have been notified by the statement that numbered them.
    if (entries.length > 0) return true;
    try {
      await this.#outbox.notify(newest);
      this.#failure = '';
      return true;
    } catch (error) {
      this.#failure = (error as Error).message;
      return false;
    }
  }

  async stop(): Promise<void> {}
}
