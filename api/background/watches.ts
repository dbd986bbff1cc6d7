/** What an API watches beside the requests, for alerts: the books, the standbys, the certificate that people see. */
import type { Log } from '../../platform/log.js';
import type { Metrics } from '../../platform/metrics/metrics.js';
import { seeRunbook } from '../../platform/runbook.js';
import type { ApiConfig } from '../config.js';
import type { Health } from '../ops/health.js';
import { BooksCheck } from '../stores/books-check.js';
import { BooksStateStore } from '../stores/books-state.js';
import { takeLease } from '../stores/leases.js';
import type { Database } from '../stores/postgres.js';
import { BooksWatch, booksLeaseMs } from './books-watch.js';
import { CertificateWatch } from './certificate-watch.js';
import { ReplicaWatch } from './replica-watch.js';

export class Watches {
  readonly books: BooksWatch;
  readonly replicas: ReplicaWatch;
  readonly certificate: CertificateWatch;

  constructor(config: Pick<ApiConfig, 'postgres' | 'publicUrl'>, database: Database, log: Log) {
    this.books = new BooksWatch({
      check: new BooksCheck(database),
      state: new BooksStateStore(database),
      lease: async (holder) => (await takeLease(database, 'books', holder, booksLeaseMs)) === null,
      log,
    });
    this.replicas = new ReplicaWatch(config.postgres.directUrl);
    this.certificate = new CertificateWatch(config.publicUrl);
  }

  start(): void {
    this.books.start();
    this.replicas.start();
    this.certificate.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.books.stop(), this.replicas.stop(), this.certificate.stop()]);
  }

  measure(metrics: Metrics, health: Health): void {
    const { books } = this;
    health.add('books', () => {
      const [first] = books.wrong;
      if (first === undefined)
        return { status: 'healthy', detail: `${books.checked} accounts checked by this process` };
      const detail = `${books.wrong.length} accounts do not balance, the first is ${first} (${seeRunbook('audit')})`;
      return { status: 'unhealthy', detail };
    });
    const counters: [string, string, () => number][] = [
      ['books_checked_accounts_total', 'Accounts whose books were held against their postings', () => books.checked],
      ['books_passes_total', 'Times that all accounts were checked', () => books.passes],
      ['books_check_failures_total', 'Checks that failed', () => books.failures],
      ['certificate_look_failures_total', 'Times that PUBLIC_URL did not answer', () => this.certificate.failures],
    ];
    for (const [name, help, value] of counters) metrics.counter(name, help, [], (counter) => counter.inc(value()));
    metrics.gauge('books_unbalanced_accounts', 'Accounts whose books do not balance', [], (gauge) =>
      gauge.set(books.wrong.length),
    );
    this.#measureServers(metrics);
  }

  #measureServers(metrics: Metrics): void {
    const gauge = (name: string, help: string, value: (state: ReplicaWatch['states'][number]) => number | null) =>
      metrics.gauge(name, help, ['server'], (target) => {
        target.reset();
        for (const state of this.replicas.states) {
          const figure = value(state);
          if (figure !== null) target.set({ server: state.server }, figure);
        }
      });
    gauge('postgres_server_up', '1 while this server of DATABASE_URL answers, else 0', ({ isUp }) => (isUp ? 1 : 0));
    gauge('postgres_server_primary', '1 where the server takes writes', ({ isPrimary }) => (isPrimary ? 1 : 0));
    gauge('postgres_replica_lag_bytes', 'WAL that a server has not replayed', ({ lagBytes }) => lagBytes);
    gauge(
      'postgres_replica_lag_seconds',
      'For so long a server has not replayed what the primary has',
      (state) => state.lagSeconds,
    );
    metrics.gauge(
      'certificate_not_after_timestamp_seconds',
      'Until when the certificate at PUBLIC_URL is valid, in Unix time',
      ['server'],
      (target) => {
        const { notAfterMs, server } = this.certificate;
        if (notAfterMs !== null) target.set({ server }, notAfterMs / 1000);
      },
    );
  }
}
