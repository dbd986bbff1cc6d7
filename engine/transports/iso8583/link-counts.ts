/** What the links have received and answered, for the metrics. */
import type { Metrics } from '../../../platform/metrics/metrics.js';
import { messageNames } from '../../protocols/iso8583/message-types.js';

export const outcomes = [
  'approved',
  'declined',
  'acknowledged',
  'duplicate',
  'malformed',
  'unsupported',
  'unavailable',
] as const;
export type LinkOutcome = (typeof outcomes)[number];

export class LinkCounts {
  readonly link: string;
  readonly #answered = new Float64Array(messageNames.length * outcomes.length);
  /** Messages without a readable type or trace number: there is nothing to answer to. */
  unparsable = 0;
  /** Connections that were closed because their bytes are no frames. */
  brokenFrames = 0;
  /** Connections that were closed because they took too long: for a frame, for an answer's bytes, or for an echo. */
  slow = 0;
  /** Reported facts that were declined, so that their money is in no books. */
  unbooked = 0;

  constructor(link: string) {
    this.link = link;
  }

  answered(message: (typeof messageNames)[number], outcome: LinkOutcome): void {
    this.#answered[messageNames.indexOf(message) * outcomes.length + outcomes.indexOf(outcome)]! += 1;
  }

  *all(): Generator<{ readonly message: string; readonly outcome: string; readonly count: number }> {
    for (const [index, count] of this.#answered.entries()) {
      if (count === 0) continue;
      const message = messageNames[Math.floor(index / outcomes.length)]!;
      yield { message, outcome: outcomes[index % outcomes.length]!, count };
    }
  }
}

/** Shows what the links count. Call before the metrics are loaded. */
export function measureLinks(metrics: Metrics, links: readonly LinkCounts[]): void {
  metrics.counter(
    'iso8583_messages_total',
    'Messages of ISO 8583 links, by kind and answer',
    ['link', 'message', 'outcome'],
    (counter) => {
      for (const counts of links) {
        for (const { count, ...labels } of counts.all()) counter.inc({ link: counts.link, ...labels }, count);
      }
    },
  );
  const perLink: readonly [string, string, (counts: LinkCounts) => number][] = [
    [
      'iso8583_unparsable_total',
      'Messages of ISO 8583 links that were dropped because they cannot be read',
      (c) => c.unparsable,
    ],
    [
      'iso8583_broken_frames_total',
      'Connections of ISO 8583 links closed because their bytes are no frames',
      (c) => c.brokenFrames,
    ],
    ['iso8583_slow_total', 'Connections of ISO 8583 links closed because the peer took too long', (c) => c.slow],
    ['iso8583_unbooked_total', 'Advices and reversals that were acknowledged and are in no books', (c) => c.unbooked],
  ];
  for (const [name, help, value] of perLink) {
    metrics.counter(name, help, ['link'], (counter) => {
      for (const counts of links) counter.inc({ link: counts.link }, value(counts));
    });
  }
}
