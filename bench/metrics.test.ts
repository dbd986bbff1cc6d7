import t from 'tap';
import { counterDelta, histogramMean, histogramPercentile, parseMetrics } from './metrics.js';

const reading = (records: number, fast: number, all: number) =>
  parseMetrics(`# HELP journal_records_total records
# TYPE journal_records_total counter
journal_records_total{partition="0"} ${records}
journal_records_total{partition="1"} ${records}
journal_sync_seconds_bucket{le="0.001",partition="0"} ${fast}
journal_sync_seconds_bucket{partition="0",le="0.002"} ${all}
journal_sync_seconds_bucket{le="+Inf",partition="0"} ${all}
journal_sync_seconds_sum{partition="0"} ${all / 1000}
journal_sync_seconds_count{partition="0"} ${all}
`);

t.test('the difference of two readings is computed over all partitions', async (t) => {
  const before = reading(10, 5, 10);
  const after = reading(110, 55, 110);
  t.equal(counterDelta(before, after, 'journal_records_total'), 200);
  t.equal(counterDelta(before, after, 'missing_total'), null);
  t.ok(Math.abs(histogramMean(before, after, 'journal_sync_seconds')! - 0.001) < 1e-12);
  t.equal(histogramMean(after, after, 'journal_sync_seconds'), null, 'no value was observed');
  t.equal(histogramPercentile(before, after, 'journal_sync_seconds', 50), 0.001);
  t.ok(Math.abs(histogramPercentile(before, after, 'journal_sync_seconds', 75)! - 0.0015) < 1e-12);
  t.equal(histogramPercentile(before, after, 'missing', 50), null);
});

t.test('a percentile in the open bucket is its lower bound', async (t) => {
  const none = parseMetrics('');
  const after = parseMetrics('h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 10\n');
  t.equal(histogramPercentile(none, after, 'h', 99), 1);
});
