/**
 * The dashboards of deploy/grafana/dashboards: `npm run docs` writes them, compose provisions them. A test runs every
 * query against a real Prometheus.
 */
import { LegendDisplayMode, LegendPlacement, VizLegendOptionsBuilder } from '@grafana/grafana-foundation-sdk/common';
import { DashboardBuilder, DatasourceVariableBuilder, RowBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as SeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

type Query = readonly [expression: string, legend: string];

interface Panel {
  readonly title: string;
  /** As Grafana names it. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** One number instead of a curve. */
  readonly isStat?: boolean;
}

interface Dashboard {
  readonly id: string;
  readonly title: string;
  readonly rows: readonly (readonly [title: string, panels: readonly Panel[]])[];
}

const panel = (title: string, unit: string, ...queries: Query[]): Panel => ({ title, unit, queries });
const stat = (title: string, unit: string, expression: string): Panel => ({
  ...{ title, unit, isStat: true },
  queries: [[expression, '']],
});

const rate = (metric: string, by = '') => `sum${by === '' ? '' : ` by (${by})`} (rate(${metric}[$__rate_interval]))`;
const quantile = (share: number, histogram: string, by = '') =>
  `histogram_quantile(${share}, ${rate(`${histogram}_bucket`, by === '' ? 'le' : `le, ${by}`)})`;
/** Curves of three percentiles. */
const percentiles = (histogram: string): readonly Query[] =>
  [0.5, 0.99, 0.999].map((share) => [quantile(share, histogram), `p${share * 100}`]);
const p99By = (histogram: string, by: string): Query => [quantile(0.99, histogram, by), `{{${by}}}`];
const p99Of = (...histograms: readonly (readonly [histogram: string, legend: string])[]): readonly Query[] =>
  histograms.map(([histogram, legend]) => [quantile(0.99, histogram), legend]);

const answered = rate('authorization_total_seconds_count');
const refused = rate('authorization_refusals_total');
const inTime = rate('authorization_total_seconds_bucket{le="0.1"}');

const overview: Dashboard = {
  id: 'afc-overview',
  title: 'Overview',
  rows: [
    [
      'Now',
      [
        stat('Decisions a second', 'ops', rate('authorization_decisions_total')),
        stat('Answered within 100 ms', 'percentunit', `${inTime} / (${answered} + ${refused})`),
        stat('Approved', 'percentunit', `${rate('authorization_decisions_total{reason="approved"}')} / ${answered}`),
        stat('Alerts that fire', 'none', 'count(ALERTS{alertstate="firing"}) or vector(0)'),
        stat('Engines', 'none', 'max(engines_alive)'),
        stat('Books that do not balance', 'none', 'max(books_unbalanced_accounts)'),
      ],
    ],
    [
      'Authorizations',
      [
        panel('Decisions by reason', 'ops', [`${rate('authorization_decisions_total', 'reason')} > 0`, '{{reason}}']),
        panel('Latency', 's', ...percentiles('authorization_total_seconds')),
        panel(
          'Not answered within 100 ms, as a multiple of what may be',
          'none',
          [`(1 - ${inTime} / (${answered} + ${refused})) / 0.001`, 'now'],
          ['authorization:missed:ratio1h / 0.001', 'an hour'],
          ['authorization:missed:ratio3d / 0.001', 'three days'],
        ),
        panel(
          'Stand-in approvals',
          'none',
          ['sum(increase(standin_approved_total[$__rate_interval]))', 'approved'],
          ['sum(standin_unbooked)', 'not booked'],
        ),
        panel(
          'Refusals and late approvals',
          'ops',
          [rate('authorization_refusals_total', 'reason'), '{{reason}}'],
          [rate('authorization_late_total'), 'revoked'],
          [rate('authorization_approved_late_total'), 'sent late'],
        ),
        panel('Calls by protocol', 'ops', [
          rate('authorization_calls_total', 'protocol, outcome'),
          '{{protocol}} {{outcome}}',
        ]),
        panel(
          'Bad requests',
          'ops',
          [rate('authorization_bad_requests_total'), '400'],
          [rate('authorization_unauthorized_total'), '401'],
        ),
      ],
    ],
    [
      'What is behind them',
      [
        panel('Settle lag', 's', ['shipper_lag_seconds', '{{instance}}']),
        panel('Journal in use', 'percentunit', [
          'max by (partition) (journal_segments / on (instance, job) group_left () journal_segments_max)',
          '{{partition}}',
        ]),
        panel('Age of the feed', 'ms', ['feed_age_ms', '{{instance}}']),
        panel('Quarantined records', 'none', ['max(quarantined_records)', 'records']),
        panel('Requests of the API', 'reqps', [rate('api_requests_total', 'class'), '{{class}}']),
        panel('Latency of the API', 's', ...percentiles('api_request_seconds')),
      ],
    ],
  ],
};

const path: Dashboard = {
  id: 'afc-path',
  title: 'Authorization path by hop',
  rows: [
    [
      'Hops',
      [
        panel('Total', 's', ...percentiles('authorization_total_seconds')),
        panel('Wait for the batch', 's', ...percentiles('authorization_wait_seconds')),
        panel('Decide and sync', 's', ...percentiles('authorization_decide_seconds')),
        panel('Send the answers', 's', ...percentiles('authorization_answer_seconds')),
        panel(
          'Mean of each hop',
          's',
          ...['wait', 'decide', 'answer'].map((hop): Query => {
            const name = `authorization_${hop}_seconds`;
            return [`${rate(`${name}_sum`)} / ${rate(`${name}_count`)}`, hop];
          }),
        ),
        panel('Messages a batch', 'none', [
          `${rate('authorization_batch_size_sum')} / ${rate('authorization_batch_size_count')}`,
          'mean',
        ]),
        panel(
          'In flight',
          'none',
          ['authorization_in_flight', '{{instance}}'],
          ['lane_depth', '{{instance}} in lanes'],
        ),
      ],
    ],
    [
      'Memory and lookups',
      [
        panel('Lookups in Postgres', 's', ...percentiles('load_postgres_seconds')),
        panel(
          'Lookups a second',
          'ops',
          ...['redis', 'books', 'postgres'].map((source): Query => [rate(`load_${source}_seconds_count`), source]),
        ),
        panel('Cards found in memory', 'percentunit', [
          'card_cache_hits / (card_cache_hits + card_cache_misses)',
          '{{instance}}',
        ]),
        panel('Memory in use', 'percentunit', ['max by (store) (memory_rows / memory_rows_max)', '{{store}}']),
        panel(
          'Evictions, and times without room',
          'ops',
          [rate('memory_evictions_total', 'store'), '{{store}}'],
          [rate('memory_full_total', 'store'), '{{store}} full'],
        ),
        panel(
          'Wait for a lookup, or for room',
          'none',
          ['loader_waiting', '{{instance}}'],
          ['messages_waiting_for_room', '{{instance}} room'],
        ),
      ],
    ],
    [
      'Journal and settling',
      [
        panel('Sync', 's', ...percentiles('journal_sync_seconds')),
        panel(
          'Syncs and records a second',
          'ops',
          [rate('journal_syncs_total'), 'syncs'],
          [rate('journal_records_total'), 'records'],
        ),
        panel('Bytes a second', 'Bps', [rate('journal_bytes_total'), 'journal']),
        panel('Settle statements', 's', ...percentiles('shipper_settle_seconds')),
        panel(
          'Settled records a second',
          'ops',
          [rate('shipper_settled_records_total'), 'records'],
          [rate('shipper_failures_total'), 'failures'],
        ),
        panel('Records that wait to be settled', 'none', ['max by (partition) (shipper_lag_records)', '{{partition}}']),
      ],
    ],
    [
      'Changes and the process',
      [
        panel('Changes until in force', 's', ...percentiles('feed_change_seconds')),
        panel('Event loop, p99', 's', ['nodejs_eventloop_lag_p99_seconds{job="engine"}', '{{instance}}']),
        panel('CPU', 'percentunit', [
          'rate(process_cpu_seconds_total{job="engine"}[$__rate_interval])',
          '{{instance}}',
        ]),
        panel('CPU by thread', 'percentunit', [
          'sum by (instance, thread) (rate(thread_cpu_seconds_total{job="engine"}[$__rate_interval]))',
          '{{instance}} {{thread}}',
        ]),
        panel('Resident memory', 'bytes', ['process_resident_memory_bytes{job="engine"}', '{{instance}}']),
        panel('Free on the disk of the journal', 'bytes', ['journal_disk_free_bytes', '{{instance}}']),
        panel('Threads replaced', 'none', ['worker_restarts', '{{instance}}']),
        panel(
          'Traces not made, and spans lost',
          'ops',
          [rate('traces_dropped_total', 'job'), '{{job}} traces'],
          [rate('trace_spans_dropped_total', 'job, where'), '{{job}} {{where}}'],
        ),
      ],
    ],
  ],
};

const api: Dashboard = {
  id: 'afc-api',
  title: 'Account API',
  rows: [
    [
      'Requests',
      [
        panel('By route', 'reqps', [rate('api_requests_total', 'route'), '{{route}}']),
        panel('By class of status', 'reqps', [rate('api_requests_total', 'class'), '{{class}}']),
        panel('Latency by route, p99', 's', p99By('api_request_seconds', 'route')),
        panel('Latency', 's', ...percentiles('api_request_seconds')),
        panel('Slower than a second', 'ops', [rate('api_slow_responses_total', 'instance'), '{{instance}}']),
        panel('Refused with 429', 'ops', [rate('requests_refused_total', 'limit'), '{{limit}}']),
      ],
    ],
    [
      'What requests wait for',
      [
        panel(
          'Hops, p99',
          's',
          ...p99Of(
            ['postgres_query_seconds', 'Postgres'],
            ['mongodb_operation_seconds', 'MongoDB'],
            ['redis_command_seconds', 'Redis'],
            ['engine_request_seconds', 'engine'],
          ),
        ),
        panel('Changes until in force, p99', 's', p99By('feed_wait_seconds', 'hop')),
        panel('Reads through the cache', 'ops', [rate('cache_reads_total', 'level'), '{{level}}']),
        panel('Response cache', 'ops', [rate('api_response_cache_total', 'outcome'), '{{outcome}}']),
        panel('Sign-ins that wait for a hash', 'none', ['password_hashes_waiting', '{{instance}}']),
        panel('Mails', 'none', ['mails_waiting', '{{instance}} wait'], ['mails_failed_total', '{{instance}} failed']),
      ],
    ],
    [
      'The process',
      [
        panel('Connections', 'none', ['connections_open{job="api"}', '{{instance}} {{port}}']),
        panel('Event loop, p99', 's', ['nodejs_eventloop_lag_p99_seconds{job="api"}', '{{instance}}']),
        panel('CPU by thread', 'percentunit', [
          'sum by (instance, thread) (rate(thread_cpu_seconds_total{job="api"}[$__rate_interval]))',
          '{{instance}} {{thread}}',
        ]),
        panel('Resident memory', 'bytes', ['process_resident_memory_bytes{job="api"}', '{{instance}}']),
        panel('Free on its disk', 'percentunit', ['disk_free_bytes / disk_bytes', '{{instance}}']),
        panel('Days until the certificate ends', 'd', [
          '(certificate_not_after_timestamp_seconds - time()) / 86400',
          '{{server}}',
        ]),
      ],
    ],
  ],
};

const databases: Dashboard = {
  id: 'afc-databases',
  title: 'Databases',
  rows: [
    [
      'PostgreSQL',
      [
        panel('Queries', 'ops', [rate('postgres_query_seconds_count', 'job, use'), '{{job}} {{use}}']),
        panel('Latency, p99', 's', [quantile(0.99, 'postgres_query_seconds', 'job, use'), '{{job}} {{use}}']),
        panel(
          'Slow and failed',
          'ops',
          [rate('postgres_slow_queries_total', 'job'), '{{job}} slow'],
          [rate('postgres_failed_queries_total', 'job'), '{{job}} failed'],
        ),
        panel(
          'Connections',
          'none',
          ['postgres_connections_busy', '{{instance}} busy'],
          ['postgres_connections_max', '{{instance}} of'],
          ['postgres_queries_waiting', '{{instance}} wait'],
        ),
        panel('Servers that answer', 'none', ['max by (server) (postgres_server_up)', '{{server}}']),
        panel('Behind the primary', 's', ['max by (server) (postgres_replica_lag_seconds)', '{{server}}']),
        panel('WAL that is not replayed', 'bytes', ['max by (server) (postgres_replica_lag_bytes)', '{{server}}']),
        panel('Settle statements', 's', ...percentiles('shipper_settle_seconds')),
        panel('Accounts whose books were checked', 'ops', [rate('books_checked_accounts_total'), 'accounts']),
        panel(
          'Audit trail',
          'ops',
          [rate('audit_sealed_total'), 'sealed'],
          [rate('audit_seal_failures_total'), 'failures'],
        ),
      ],
    ],
    [
      'MongoDB',
      [
        panel('Operations', 'ops', [rate('mongodb_operation_seconds_count', 'operation'), '{{operation}}']),
        panel('Latency, p99', 's', p99By('mongodb_operation_seconds', 'operation')),
        panel(
          'Slow and failed',
          'ops',
          [rate('mongodb_slow_operations_total'), 'slow'],
          [rate('mongodb_failed_operations_total'), 'failed'],
        ),
        panel(
          'Not copied yet',
          'none',
          ['max(personal_history_lag_records)', 'history'],
          ['max(personal_copies_lag)', 'people and cards'],
        ),
      ],
    ],
    [
      'Redis',
      [
        panel(
          'Commands of the API',
          'ops',
          [rate('redis_command_seconds_count'), 'commands'],
          [rate('redis_failures_total'), 'failed'],
        ),
        panel('Latency of the API', 's', ...percentiles('redis_command_seconds')),
        panel('Lookups of cards by engines', 'ops', [rate('card_cache_redis_total', 'result'), '{{result}}']),
        panel('Writes of cards by engines', 'ops', [rate('card_cache_redis_writes_total', 'result'), '{{result}}']),
      ],
    ],
  ],
};

const cluster: Dashboard = {
  id: 'afc-cluster',
  title: 'Cluster',
  rows: [
    [
      'Engines and partitions',
      [
        panel('Processes that are reached', 'none', ['up', '{{job}} {{instance}}']),
        panel('Engines whose lease goes on', 'none', ['engines_alive', 'as {{instance}} sees it']),
        panel('Partitions by owner', 'none', ['partitions_owned', '{{instance}}']),
        panel('Partitions without an owner', 'none', ['partitions_without_owner', 'as {{instance}} sees it']),
        panel('Epochs', 'none', ['max by (partition) (partition_epoch)', '{{partition}}']),
        panel('Decisions a second by engine', 'ops', [
          rate('authorization_decisions_total', 'instance'),
          '{{instance}}',
        ]),
      ],
    ],
    [
      'Between engines',
      [
        panel('Connected', 'none', ['peers_connected', '{{instance}}']),
        panel(
          'Messages a second',
          'ops',
          [rate('peer_asked_total', 'instance'), '{{instance}} asked'],
          [rate('peer_answered_total', 'instance'), '{{instance}} answered'],
        ),
        panel('Messages that wait', 'none', ['peer_messages_waiting', '{{instance}}']),
        panel('Lost', 'ops', [rate('peer_lost_total', 'instance'), '{{instance}}']),
        panel(
          'Withdrawals',
          'ops',
          [rate('peer_withdrawn_total', 'instance'), '{{instance}}'],
          [rate('peer_withdrawals_dropped_total', 'instance'), '{{instance}} given up'],
        ),
        panel('Bytes a second', 'Bps', [rate('peer_bytes_total', 'instance'), '{{instance}}']),
      ],
    ],
    [
      'Feed',
      [
        panel('Changes in force', 'none', ['feed_sequence', '{{instance}}']),
        panel('Changes until in force, p99', 's', p99By('feed_change_seconds', 'instance')),
        panel('Age', 'ms', ['feed_age_ms', '{{instance}}']),
        panel('Which API relays', 'none', ['feed_relay_leader', '{{instance}}']),
      ],
    ],
  ],
};

export const dashboards: readonly Dashboard[] = [overview, path, api, databases, cluster];

const datasource = { type: 'prometheus', uid: '$datasource' };
/** Of 24 columns. */
const [statSpan, seriesSpan] = [4, 8];
const [statHeight, seriesHeight] = [4, 8];

const legendBelow = () =>
  new VizLegendOptionsBuilder().showLegend(true).displayMode(LegendDisplayMode.List).placement(LegendPlacement.Bottom);

function panelOf({ title, unit, queries, isStat = false }: Panel) {
  const made = isStat
    ? new StatBuilder().span(statSpan).height(statHeight)
    : new SeriesBuilder().span(seriesSpan).height(seriesHeight).fillOpacity(8).legend(legendBelow());
  made.title(title).unit(unit).datasource(datasource);
  for (const [index, [expression, legend]] of queries.entries()) {
    const refId = String.fromCharCode('A'.charCodeAt(0) + index);
    made.withTarget(new DataqueryBuilder().refId(refId).expr(expression).legendFormat(legend));
  }
  return made;
}

/** Paths in the repository, and the JSON that Grafana reads. */
export function dashboardFiles(): ReadonlyMap<string, string> {
  return new Map(
    dashboards.map(({ id, title, rows }) => {
      const builder = new DashboardBuilder(`Cards: ${title}`)
        .uid(id)
        .tags(['atlanticfrewaycard'])
        .refresh('10s')
        .time({ from: 'now-1h', to: 'now' })
        .timezone('browser')
        .withVariable(new DatasourceVariableBuilder('datasource').type('prometheus'));
      for (const [row, panels] of rows) {
        builder.withRow(new RowBuilder(row));
        for (const one of panels) builder.withPanel(panelOf(one));
      }
      return [`deploy/grafana/dashboards/${id}.json`, `${JSON.stringify(builder.build(), null, 2)}\n`];
    }),
  );
}
