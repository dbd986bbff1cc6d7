/** What the console calls an alert is one of Prometheus, and fires when it has been so for long enough. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { repositoryRoot } from '../../deploy/repository-root.js';
import { Alerts, alertRules, type Seen } from './alerts.js';
import type { LiveEngine } from './live-shape.js';

const nowMs = Date.UTC(2026, 10, 28);
const engine: LiveEngine = {
  id: 'e1',
  isUp: true,
  ageMs: 100,
  epoch: 3,
  partitions: [0, 1],
  decidedPerSecond: 5,
  p99Ms: 1,
  journalUsedShare: 0.1,
  feedAgeMs: 100,
  feedStaleMsMax: 30_000,
  standInUnbooked: 0,
  settleLagMs: 10,
};
const fine: Seen = {
  engines: [engine],
  refusedShare: 0,
  books: { checkedAtMs: nowMs, accounts: 5, unchecked: 0, unbalanced: 0, firstUnbalanced: null },
  quarantined: 0,
  partitions: 2,
  isDatabaseUp: true,
  servers: [{ server: 'db1', isUp: true, lagSeconds: 0 }],
  certificate: { server: 'pay.example', notAfterMs: nowMs + 90 * 86_400_000 },
};

/** Each rule with what breaks it, and what the alert is about. */
const broken: Readonly<Record<string, readonly [Partial<Seen>, string]>> = {
  EngineDown: [{ engines: [{ ...engine, isUp: false }], partitions: 0 }, 'e1'],
  FeedStale: [{ engines: [{ ...engine, feedAgeMs: 15_001 }] }, 'e1'],
  PartitionWithoutOwner: [{ partitions: 3 }, ''],
  JournalFilling: [{ engines: [{ ...engine, journalUsedShare: 0.8 }] }, 'e1'],
  Refusals: [{ refusedShare: 0.02 }, ''],
  StandInUnbooked: [{ engines: [{ ...engine, standInUnbooked: 2 }] }, 'e1'],
  BooksDoNotBalance: [{ books: { ...fine.books!, unbalanced: 2, firstUnbalanced: 'acct_7' } }, 'acct_7'],
  DatabaseServerDown: [{ servers: [{ server: 'db1', isUp: false, lagSeconds: null }] }, 'db1'],
  CertificateEnds: [{ certificate: { server: 'pay.example', notAfterMs: nowMs + 86_400_000 } }, 'pay.example'],
  BooksLag: [{ engines: [{ ...engine, settleLagMs: 900_001 }] }, 'e1'],
  QuarantinedRecords: [{ quarantined: 1 }, ''],
  ReplicaBehind: [{ servers: [{ server: 'db2', isUp: true, lagSeconds: 31 }] }, 'db2'],
  CertificateExpires: [{ certificate: { server: 'pay.example', notAfterMs: nowMs + 10 * 86_400_000 } }, 'pay.example'],
};

t.test('each alert has the name, severity and runbook of a rule of Prometheus', async (t) => {
  const rules = readFileSync(join(repositoryRoot(), 'deploy/prometheus/rules.yml'), 'utf8').split('- alert: ').slice(1);
  const known = new Map(rules.map((text) => [/^\w+/.exec(text)![0], text]));
  for (const { name, severity, runbook } of alertRules) {
    const rule = known.get(name) ?? '';
    t.match(rule, `severity: ${severity} }`, name);
    t.match(rule, `runbook: docs/runbook.md#${runbook}\n`, name);
  }
});

t.test('an alert fires when something has been wrong for long enough, and ends with it', async (t) => {
  t.same(
    Object.keys(broken),
    alertRules.map(({ name }) => name),
  );
  for (const { name, severity, runbook, forMs } of alertRules) {
    const [change, what] = broken[name]!;
    const alerts = new Alerts();
    const look = (seen: Seen, atMs: number) => alerts.look(seen, atMs).filter((alert) => alert.name === name);
    t.same(alerts.look(fine, nowMs), [], `${name}: nothing is wrong`);
    const seen = { ...fine, ...change };
    t.equal(look(seen, nowMs + 1).length, forMs === 0 ? 1 : 0, name);
    const expected = [{ name, severity, runbook, what, sinceMs: nowMs + 1 }];
    t.same(look(seen, nowMs + 1 + forMs), expected, name);
    t.same(alerts.look(fine, nowMs + 2 + forMs), [], `${name}: it ends`);
    t.equal(look(seen, nowMs + 3 + forMs).length, forMs === 0 ? 1 : 0, `${name}: it waits again`);
  }
});

t.test('of several engines the others take over, and a database without standbys is watched too', async (t) => {
  const other = { ...engine, id: 'e2', partitions: [2] };
  const third = { ...engine, id: 'e3', isUp: false, partitions: [] };
  const seen = { ...fine, engines: [engine, other, third], partitions: 3, servers: [], isDatabaseUp: false };
  const alerts = new Alerts();
  alerts.look(seen, nowMs);
  t.match(alerts.look(seen, nowMs + 60_000), [{ name: 'DatabaseServerDown', what: '' }]);
});
