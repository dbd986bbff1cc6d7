/**
 * How fast the account API answers at a rate, open loop, beside a bare Fastify route. Many customers do what a load
 * script of users does (sign in, read cards, read transactions), then the same on 10,000 kept-alive connections.
 */
import postgres from 'postgres';
import { Passwords } from '../../../api/auth/passwords.js';
import { createTestDatabase, processUrl } from '../../../deploy/testing/test-database.js';
import { ensureAccounts } from '../../accounts.js';
import { type RequestSpec, requestsTraffic } from '../../load/requests.js';
import type { Target } from '../../measure.js';
import { Ends } from '../../scratch.js';
import { loopback, startControl } from '../../stack.js';
import { alternate, type Bench, type Contender, goal, measure, rate, type Scenario } from '../bench.js';
import { samplesOf } from '../figures.js';
import { sampleOf, withFigures } from '../sample.js';

const requestsPerSecond = 1000;
const connectionCount = 100;
const manyConnections = 10_000;
const password = 'password-of-the-benchmark';
const sizes = {
  /** `callers`: customers whose requests are drawn. The first requests compile code: their warm-up is longer. */
  full: { customers: 1000, transactions: 200, callers: 50, timing: { warmUpMs: 2000, durationMs: 5000 } },
  smoke: { customers: 20, transactions: 20, callers: 3, timing: { durationMs: 400 } },
};
const bareRequest: RequestSpec = { name: 'bare', method: 'GET', path: '/bare', weight: 1, status: 200 };

export const api: Scenario = {
  name: 'api',
  title: `The account API at ${requestsPerSecond.toLocaleString('en-US')} requests per second`,
  seconds: 110,
  engine: 'any',
  async run(bench) {
    const { stack, scale, log } = bench;
    const { customers, transactions, callers, timing } = sizes[scale.name === 'smoke' ? 'smoke' : 'full'];
    const ends = new Ends(log);
    try {
      // Not the engine's: that one yields to the engine on purpose.
      const database = await createTestDatabase({ durable: scale.name !== 'smoke' });
      ends.add(() => database.close());
      log(`adding ${customers} customers with ${transactions} transactions each`);
      await addCustomers(database.url, customers, transactions);
      const server = await stack.startApi({ DATABASE_URL: processUrl(database.url, 'api') });
      ends.add(() => server.stop());
      const bare = await startControl('bare-fastify', stack.dataDir);
      ends.add(() => bare.stop());
      const requests = await requestsOf(server.port, callers);
      const target = { ...server, metricsUrl: null, storePid: database.serverPid };
      const plan = { timing, kinds: {} };
      const series = await alternate(bench, [
        contender(bench, 'bare Fastify', bare, { timing, requests: [bareRequest], connectionCount, kinds: {} }),
        contender(bench, 'API', target, { ...plan, requests, connectionCount }),
        contender(bench, 'API, many connections', target, { ...plan, requests, connectionCount: manyConnections }),
      ]);
      const samples = samplesOf(series, 'API');
      const kinds = Object.entries(plan.kinds).map(([kind, count]) => `${count} × ${kind}`);
      return {
        settings: { connections: connectionCount, many: manyConnections, customers, arrivals: 'Poisson' },
        series,
        goals: [
          goal('p50 ≤ 2 ms', samples, ({ p50Ms = 1e9 }) => p50Ms <= 2),
          goal('p95 ≤ 5 ms', samples, ({ p95Ms = 1e9 }) => p95Ms <= 5),
          goal('p99 ≤ 20 ms', samples, ({ p99Ms = 1e9 }) => p99Ms <= 20),
        ],
        notes: [`Last round: ${kinds.join(', ')}.`],
      };
    } finally {
      await ends.run();
    }
  },
};

interface Plan {
  readonly requests: readonly RequestSpec[];
  readonly connectionCount: number;
  readonly timing: { readonly warmUpMs?: number; readonly durationMs?: number };
  /** Takes how many requests of each kind were answered. */
  readonly kinds: Record<string, number>;
}

function contender(bench: Bench, name: string, target: Target, plan: Plan): Contender {
  const { requests, timing, kinds } = plan;
  return {
    name,
    control: name.startsWith('bare'),
    needsEngine: false,
    async run() {
      const measurement = await measure(bench, target, {
        pace: rate(bench, requestsPerSecond),
        connectionCount: plan.connectionCount,
        traffic: requestsTraffic(requests),
        ...timing,
      });
      Object.assign(kinds, measurement.load.kindCounts);
      return withFigures(sampleOf(measurement), { p95Ms: measurement.load.latency.p95Ms });
    },
  };
}

/** Customers who can sign in, have a card and a history. */
async function addCustomers(databaseUrl: string, count: number, transactions: number): Promise<void> {
  await ensureAccounts({ databaseUrl, count, balanceMinor: 1_000_000 });
  const passwordHash = await new Passwords().hash(password);
  const sql = postgres(databaseUrl, { max: 1, connect_timeout: 10, onnotice: () => undefined });
  try {
    await sql`update users set password_hash = ${passwordHash}`;
    // Completed purchases of the last days, one every few minutes, as settle() would have written them.
    await sql`
      insert into transactions (id, account_id, card_id, user_id, amount, approved_amount, held_amount, posted_amount,
        refunded_amount, newest_spend_amount, created_at, updated_at, partition, spend_day, newest_spend_day, type,
        status, reason, detail, channel, forced, currency, country, mcc, merchant_id, merchant_name)
      select c.token || '-' || n, c.account_id, c.id, c.user_id, 1250, 1250, 0, 1250, 0, 1250, at, at, 0, 0, 0, 1, 2,
        0, 0, 1, false, 'USD', 'US', 5411, 'm-' || n % 100, 'Corner Store ' || n % 100
      from cards c, generate_series(1, ${transactions}::integer) n,
        lateral (select now() - n * interval '7 minutes' as at) as time`;
    await sql`analyze`;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** What each caller asks for: one sign-in to five looks at cards and five at transactions. */
async function requestsOf(port: number, callerCount: number): Promise<RequestSpec[]> {
  const specs: RequestSpec[] = [];
  for (let caller = 1; caller <= callerCount; caller++) {
    // As deploy/seed-accounts.ts names them.
    const email = `user${String(caller).padStart(6, '0')}@load.example`;
    const body = JSON.stringify({ email, password });
    const login = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
    const answer = await fetch(`http://${loopback}:${port}/api/auth/login`, login);
    if (answer.status !== 200)
      throw new Error(`caller ${caller} could not sign in: ${answer.status} ${await answer.text()}`);
    const { token } = (await answer.json()) as { token: string };
    const headers = { authorization: `Bearer ${token}` };
    specs.push(
      { name: 'sign in', path: '/api/auth/login', weight: 1, status: 200, ...login },
      { name: 'cards', method: 'GET', path: '/api/cards', headers, weight: 5, status: 200 },
      { name: 'transactions', method: 'GET', path: '/api/transactions', headers, weight: 5, status: 200 },
    );
  }
  return specs;
}
