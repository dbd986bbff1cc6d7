/**
 * What is wrong now, by what one API sees itself: the lines of the engines, the walk over the books, the servers of
 * DATABASE_URL and the certificate. Names, severities, bounds and waits are those of deploy/prometheus/rules.yml, so a
 * name leads to the same section of the runbook. Prometheus has more rules, and history. Pure: it has no clock.
 */
import type { LiveAlert, LiveBooks, LiveEngine } from './live-shape.js';

export interface Seen {
  readonly engines: readonly LiveEngine[];
  /** Of the messages of the last 10 s. */
  readonly refusedShare: number;
  readonly books: LiveBooks | null;
  readonly quarantined: number;
  /** Of the ledger; 0: not known. */
  readonly partitions: number;
  readonly isDatabaseUp: boolean;
  readonly servers: readonly { readonly server: string; readonly isUp: boolean; readonly lagSeconds: number | null }[];
  /** Null: not known, or no TLS. */
  readonly certificate: { readonly server: string; readonly notAfterMs: number } | null;
}

export interface AlertRule {
  readonly name: string;
  readonly severity: LiveAlert['severity'];
  /** Its section. */
  readonly runbook: string;
  /** What is wrong must be so for this long. */
  readonly forMs: number;
  /** @returns what is wrong: engines, servers or accounts; '' for the whole program */
  wrong(seen: Seen, nowMs: number): readonly string[];
}

/** A page has room for so many. */
const alertsMax = 20;
const dayMs = 86_400_000;
const journalShareMax = 0.75;
const settleLagMsMax = 900_000;
const replicaLagSecondsMax = 30;
const refusedShareMax = 0.01;

const when = (isWrong: boolean): readonly string[] => (isWrong ? [''] : []);
const enginesWith = ({ engines }: Seen, isWrong: (engine: LiveEngine) => boolean) =>
  engines.filter((engine) => engine.isUp && isWrong(engine)).map(({ id }) => id);
const certificateWithin = (days: number) => (seen: Seen, nowMs: number) =>
  seen.certificate !== null && seen.certificate.notAfterMs - nowMs < days * dayMs ? [seen.certificate.server] : [];

export const alertRules: readonly AlertRule[] = [
  {
    name: 'EngineDown',
    severity: 'page',
    runbook: 'unreachable-process',
    forMs: 15_000,
    // Of several the others take over.
    wrong: ({ engines }) =>
      engines.filter(({ isUp }) => isUp).length > 1 ? [] : engines.filter(({ isUp }) => !isUp).map(({ id }) => id),
  },
  {
    name: 'FeedStale',
    severity: 'page',
    runbook: 'stale-feed',
    forMs: 5_000,
    wrong: (seen) =>
      enginesWith(seen, ({ feedAgeMs, feedStaleMsMax }) => feedStaleMsMax !== null && feedAgeMs > feedStaleMsMax / 2),
  },
  {
    name: 'PartitionWithoutOwner',
    severity: 'page',
    runbook: 'partition-without-an-owner',
    forMs: 30_000,
    wrong: ({ engines, partitions }) => {
      const owned = new Set(engines.filter(({ isUp }) => isUp).flatMap((engine) => engine.partitions));
      return when(owned.size < partitions);
    },
  },
  {
    name: 'JournalFilling',
    severity: 'page',
    runbook: 'full-journal',
    forMs: 60_000,
    wrong: (seen) => enginesWith(seen, ({ journalUsedShare }) => (journalUsedShare ?? 0) > journalShareMax),
  },
  {
    name: 'Refusals',
    severity: 'page',
    runbook: 'refusals',
    forMs: 30_000,
    wrong: ({ refusedShare }) => when(refusedShare > refusedShareMax),
  },
  {
    name: 'StandInUnbooked',
    severity: 'page',
    runbook: 'stand-in-approvals',
    forMs: 300_000,
    wrong: (seen) => enginesWith(seen, ({ standInUnbooked }) => standInUnbooked > 0),
  },
  {
    name: 'BooksDoNotBalance',
    severity: 'page',
    runbook: 'audit',
    forMs: 0,
    wrong: ({ books }) => (books === null || books.firstUnbalanced === null ? [] : [books.firstUnbalanced]),
  },
  {
    name: 'DatabaseServerDown',
    severity: 'page',
    runbook: 'synchronous-standby',
    forMs: 60_000,
    wrong: ({ servers, isDatabaseUp }) => {
      const down = servers.filter(({ isUp }) => !isUp).map(({ server }) => server);
      return down.length > 0 ? down : when(!isDatabaseUp);
    },
  },
  { name: 'CertificateEnds', severity: 'page', runbook: 'ending-certificate', forMs: 0, wrong: certificateWithin(2) },
  {
    name: 'BooksLag',
    severity: 'ticket',
    runbook: 'lagging-books',
    forMs: 0,
    wrong: (seen) => enginesWith(seen, ({ settleLagMs }) => settleLagMs > settleLagMsMax),
  },
  {
    name: 'QuarantinedRecords',
    severity: 'ticket',
    runbook: 'quarantined-records',
    forMs: 0,
    wrong: ({ quarantined }) => when(quarantined > 0),
  },
  {
    name: 'ReplicaBehind',
    severity: 'ticket',
    runbook: 'synchronous-standby',
    forMs: 60_000,
    wrong: ({ servers }) =>
      servers.filter(({ lagSeconds }) => (lagSeconds ?? 0) > replicaLagSecondsMax).map(({ server }) => server),
  },
  {
    name: 'CertificateExpires',
    severity: 'ticket',
    runbook: 'ending-certificate',
    forMs: 0,
    wrong: certificateWithin(14),
  },
];

export class Alerts {
  /** Since when something is wrong, by rule and by what is. Only what is wrong now is kept. */
  #since: ReadonlyMap<string, number> = new Map();

  /** @returns what has been wrong for long enough, the most urgent first */
  look(seen: Seen, nowMs: number): readonly LiveAlert[] {
    const since = new Map<string, number>();
    const firing: LiveAlert[] = [];
    for (const { name, severity, runbook, forMs, wrong } of alertRules) {
      for (const what of wrong(seen, nowMs)) {
        const key = `${name} ${what}`;
        // A clock that was set back must not make an alert older than it is.
        const sinceMs = Math.min(this.#since.get(key) ?? nowMs, nowMs);
        since.set(key, sinceMs);
        if (nowMs - sinceMs >= forMs) firing.push({ name, severity, runbook, what, sinceMs });
      }
    }
    this.#since = since;
    return firing.slice(0, alertsMax);
  }
}
