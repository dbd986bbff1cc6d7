/** How long operations of one kind of store took, by what they are for. The number of these must be bounded. */
import { Buckets } from './buckets.js';
import type { Metrics } from './metrics.js';

export class OperationTimes {
  readonly byUse = new Map<string, Buckets>();

  add(use: string, tookMs: number): void {
    const buckets = this.byUse.get(use) ?? new Buckets();
    this.byUse.set(use, buckets);
    buckets.add(tookMs);
  }

  /** @param label names the uses; null where there is one alone, which is shown without a label */
  measure(metrics: Metrics, name: string, help: string, label: string | null): void {
    metrics.histogram(name, help, label === null ? [] : [label], () =>
      [...this.byUse].map(([use, buckets]) => ({
        ...buckets.observed(),
        labels: label === null ? {} : { [label]: use },
      })),
    );
  }
}
