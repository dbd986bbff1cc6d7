/**
 * How fast the account API answers at a rate, open loop, beside a bare Fastify route in the same run: what the user's
 * own load script does (sign in, read cards, read transactions), by many customers, then the same on 10,000 kept-alive
 * connections. The goals are p50/p95/p99 of 2/5/20 ms at 1,000 requests a second on two cores.
 *
 * `node dist/bench/api.js` (make bench-api), about a minute and a half.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ApiStack, type ApiStackOptions, benchPassword, emailOf, loopback, startApiStack } from './api-stack.js';
import { type RequestSpec, requestsTraffic } from './load/requests.js';
import { faultsOf } from './load/result.js';
import { describeMachine } from './machine.js';
import { type Measurement, measureLoad, neighbourCores } from './measure.js';
import { isMain, resultFolder, runUntilSignal } from './run.js';

export interface ApiBenchOptions extends ApiStackOptions {
  readonly ratePerSecond: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
  readonly connectionCount: number;
  /** Connections of the second part. */
  readonly connectionCountMany: number;
  /** Customers whose requests are drawn. */
  readonly callerCount: number;
}

export interface ApiBenchRow {
  readonly name: string;
  readonly measured: Measurement;
}

const goalsMs = { p50Ms: 2, p95Ms: 5, p99Ms: 20 } as const;

const fullRun: ApiBenchOptions = {
  customerCount: 1000,
  transactionsPerCustomer: 200,
  ratePerSecond: 1000,
  warmUpMs: 5000,
  durationMs: 15_000,
  connectionCount: 100,
  connectionCountMany: 10_000,
  callerCount: 50,
  log: console.error,
};

/** Runs everything and stops what it started. */
export async function benchApi(options: ApiBenchOptions, signal: AbortSignal): Promise<ApiBenchRow[]> {
  const stack = await startApiStack(options);
  const stop = () => void stack.stop();
  signal.addEventListener('abort', stop);
  try {
    options.log('signing the callers in');
    const requests = await requestsOf(stack, options.callerCount);
    const bare = [{ name: 'bare', method: 'GET', path: '/bare', weight: 1, status: 200 }];
    const rows: ApiBenchRow[] = [];
    const measure = async (
      name: string,
      server: ApiStack['api'],
      specs: readonly RequestSpec[],
      connectionCount: number,
    ) => {
      options.log(`${name}: ${options.ratePerSecond} requests/s on ${connectionCount} connections`);
      const storePid = server === stack.api ? stack.databasePid : null;
      rows.push({ name, measured: await run(options, server, storePid, specs, connectionCount) });
    };
    await measure('bare Fastify', stack.bare, bare, options.connectionCount);
    await measure('API', stack.api, requests, options.connectionCount);
    // The control only makes noise from here on.
    stack.bare.pause();
    await measure('API, many connections', stack.api, requests, options.connectionCountMany);
    return rows;
  } finally {
    signal.removeEventListener('abort', stop);
    await stack.stop();
  }
}

function run(
  { ratePerSecond, warmUpMs, durationMs }: ApiBenchOptions,
  { pid, port }: ApiStack['api'],
  storePid: number | null,
  specs: readonly RequestSpec[],
  connectionCount: number,
): Promise<Measurement> {
  return measureLoad(
    { pid, port, metricsUrl: null, storePid },
    {
      traffic: requestsTraffic(specs),
      pace: { kind: 'open', ratePerSecond, arrivals: 'poisson' },
      connectionCount,
      threadCount: 1,
      warmUpMs,
      durationMs,
      requestCountMax: null,
      timeoutMs: 5000,
      seed: 1,
    },
  );
}

/** What each caller asks for: one sign-in to five looks at cards and five at transactions. */
async function requestsOf(stack: ApiStack, callerCount: number): Promise<RequestSpec[]> {
  const specs: RequestSpec[] = [];
  for (let caller = 1; caller <= callerCount; caller++) {
    const body = JSON.stringify({ email: emailOf(caller), password: benchPassword });
    const login = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
    const answer = await fetch(`http://${loopback}:${stack.api.port}/api/auth/login`, login);
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

/** The report, as Markdown. */
export function renderApiBench(rows: readonly ApiBenchRow[], machine: string): string {
  return [
    '| server | connections | answers/s | p50 ms | p95 ms | p99 ms | p99.9 ms | max ms | CPU s per 1000 | of ' +
      'Postgres | cores of others | faults |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |',
    ...rows.map(lineOf),
    '',
    `Open loop, Poisson arrivals, every latency from the instant at which its request was due. ${verdictOf(rows)}`,
    'Cores of others: what neither the server, its Postgres nor the generator used; above 0.2 the neighbours are ' +
      'measured too.',
    machine,
    '',
  ].join('\n');
}

function lineOf({ name, measured }: ApiBenchRow): string {
  const { load, server } = measured;
  const { latency } = load;
  const ms = [latency.p50Ms, latency.p95Ms, latency.p99Ms, latency.p99_9Ms, latency.maxMs].map((value) =>
    value.toFixed(2),
  );
  const others = neighbourCores(measured);
  const cpu = [server.cpuPerThousandSeconds, server.storeCpuPerThousandSeconds].map(
    (value) => value?.toFixed(3) ?? '–',
  );
  const rate = Math.round(load.answersPerSecond).toLocaleString('en');
  const faults = load.invalid ?? (faultsOf(load).join(', ') || 'none');
  return `| ${[name, load.connectionCount, rate, ...ms, ...cpu, others?.toFixed(2) ?? '–', faults].join(' | ')} |`;
}

function verdictOf(rows: readonly ApiBenchRow[]): string {
  const latency = rows.find(({ name }) => name === 'API')!.measured.load.latency;
  return Object.entries(goalsMs)
    .map(([name, goal]) => {
      const value = latency[name as keyof typeof goalsMs];
      return `${name.slice(0, -2)} ${value.toFixed(2)} ms: goal of ${goal} ms ${value <= goal ? 'met' : 'missed'}.`;
    })
    .join(' ');
}

async function main(signal: AbortSignal): Promise<number> {
  const machine = await describeMachine();
  const rows = await benchApi(fullRun, signal);
  const described =
    `${machine.cpu}, ${machine.coreCount} cores, ${machine.kernel}, Node.js ${machine.node}; load ` +
    `average before ${machine.loadAverage.toFixed(2)}; ${machine.date}, commit ${machine.commit}.`;
  const text = renderApiBench(rows, described);
  const folder = resultFolder(machine);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'api.json'), JSON.stringify({ machine, rows }, null, 2));
  await writeFile(join(folder, 'api.md'), text);
  process.stdout.write(text);
  const failed = rows.filter(({ measured: { load } }) => load.invalid !== null || faultsOf(load).length > 0);
  return failed.length === 0 ? 0 : 1;
}

if (isMain(import.meta.url)) await runUntilSignal(main);
