/**
 * Metrics of the API. Requests are counted into plain arrays, which each scrape reads. Percentiles per route
 * are of the last one to two minutes.
 */
import { Metrics } from '../../platform/metrics/metrics.js';
import { measureThreads } from '../../platform/process/thread-times.js';
import { LatencyWindow } from './latency-window.js';

const quantiles = [0.5, 0.95, 0.99] as const;

interface RouteCounts {
  /** By hundreds: 1xx … 5xx. */
  readonly byClass: Float64Array;
  readonly latency: LatencyWindow;
}

export class Telemetry extends Metrics {
  readonly #routes = new Map<string, RouteCounts>();
  slowResponses = 0;
  /** Answers that the documentation does not have, as `GET /api/cards 418`: bugs. Bounded by routes and statuses. */
  readonly undocumented = new Set<string>();
  readonly responseCache = { hits: 0, misses: 0, notModified: 0 };

  constructor() {
    super();
    measureThreads(this, 'main');
    this.counter('api_requests_total', 'Answers by route and class of status', ['route', 'class'], (counter) => {
      for (const [route, { byClass }] of this.#routes) {
        for (const [index, count] of byClass.entries()) {
          if (count > 0) counter.inc({ route, class: `${index}xx` }, count);
        }
      }
    });
    this.counter('api_slow_responses_total', 'Answers slower than the alert bound', [], (counter) =>
      counter.inc(this.slowResponses),
    );
    this.gauge('api_undocumented_answers', 'Kinds of answers that the OpenAPI document lacks: bugs', [], (gauge) =>
      gauge.set(this.undocumented.size),
    );
    this.gauge(
      'api_request_quantile_seconds',
      'Latency percentiles by route, of the last one to two minutes',
      ['route', 'quantile'],
      (gauge) => {
        gauge.reset();
        for (const [route, { latency }] of this.#routes) {
          for (const quantile of quantiles)
            gauge.set({ route, quantile: String(quantile) }, latency.quantile(quantile) / 1000);
        }
      },
    );
    this.counter(
      'api_response_cache_total',
      'GET requests by what the response cache made of them',
      ['outcome'],
      (counter) => {
        for (const [outcome, count] of Object.entries(this.responseCache)) counter.inc({ outcome }, count);
      },
    );
    this.histogram('api_request_seconds', 'Time from the arrival of a request to its answer, by route', ['route'], () =>
      [...this.#routes].map(([route, { latency }]) => ({ ...latency.observed(), labels: { route } })),
    );
  }

  /**
   * An answer left.
   * @param route the declared path, never the URL: the number of series is bounded
   * @param tookMs null: of a stream, whose time says nothing
   */
  answered(route: string, status: number, tookMs: number | null): void {
    let counts = this.#routes.get(route);
    if (counts === undefined) {
      counts = { byClass: new Float64Array(6), latency: new LatencyWindow() };
      this.#routes.set(route, counts);
    }
    counts.byClass[Math.min(5, Math.floor(status / 100))]! += 1;
    if (tookMs !== null) counts.latency.add(tookMs);
  }
}
