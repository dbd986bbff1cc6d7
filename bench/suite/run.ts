/** Runs scenarios one after the other on one stack: engine, echo, Postgres and, if asked for, the peers. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createTestDatabase } from '../../deploy/testing/test-database.js';
import { findRedisProgram, OwnRedis } from '../../deploy/testing/test-redis.js';
import { checkAuthorizer } from '../peers/conformance.js';
import { peerNames, type RunningPeer, startPeer } from '../peers/peers.js';
import { busyShare, readMachineTime } from '../process-stats.js';
import { Ends } from '../scratch.js';
import { startStack } from '../stack.js';
import { type Bench, balanceMinor, type Scale, type Scenario, scales, warmUp } from './bench.js';
import type { ScenarioResult } from './figures.js';
import { Progress } from './progress.js';
import { untilSettled } from './settled.js';

export interface SuiteOptions {
  readonly scenarios: readonly Scenario[];
  readonly scale: Scale;
  /** Uses this migrated database for everything instead of starting servers of its own. */
  readonly databaseUrl?: string;
  readonly write: (line: string) => void;
  readonly signal: AbortSignal;
  /** Called after each scenario, so that what was measured is kept if the next one fails. */
  readonly onResult: (result: ScenarioResult) => void | Promise<void>;
}

const neighboursLookMs = 1000;

/** A smoke run shares its cores with other tests: it proves no speed, and need not make large files. */
const smokeEngineEnv = {
  DEADLINE_MS: '3000',
  ACCOUNTS_MAX: '4096',
  CARDS_MAX: '4096',
  SEEN_IDS_MAX: String(2 ** 18),
  JOURNAL_SEGMENT_BYTES: String(2 ** 23),
};

export async function runSuite(options: SuiteOptions): Promise<void> {
  const { scale, signal } = options;
  const progress = new Progress(
    options.scenarios.map(({ seconds }) => (seconds * scale.durationMs) / scales.full.durationMs),
    options.write,
  );
  const log = (line: string) => progress.log(line);
  const stack = await startStack({
    accountCount: scale.accountCount,
    balanceMinor,
    log,
    ...(scale.name === 'smoke' ? { engineEnv: smokeEngineEnv } : {}),
    ...(options.databaseUrl === undefined ? {} : { databaseUrl: options.databaseUrl }),
  });
  // Peers write into the stack's folder and end before it; what the engine stands on ends after it.
  const [peerEnds, ends] = [new Ends(log), new Ends(log)];
  const stopAll = async () => {
    await peers?.catch(() => undefined);
    await peerEnds.run();
    await stack.stop();
    await ends.run();
  };
  signal.addEventListener('abort', () => void stopAll());
  let peers: Promise<readonly RunningPeer[]> | null = null;
  let redis: Promise<OwnRedis | null> | null = null;
  const bench: Bench = {
    scale,
    stack,
    log,
    ends,
    async engineWith(env = {}) {
      if (scale.name !== 'smoke' || !stack.hasEngine(env)) await stack.restartEngine({ env });
    },
    redis: () => (redis ??= startRedis(ends)),
    peers: () => (peers ??= startPeers(bench, peerEnds)),
  };
  try {
    await runScenarios(bench, options, progress);
  } finally {
    await stopAll();
  }
}

async function runScenarios(bench: Bench, options: SuiteOptions, progress: Progress): Promise<void> {
  const { scale, stack, log } = bench;
  let warmPid = -1;
  for (const scenario of options.scenarios) {
    if (options.signal.aborted) return;
    progress.begin(scenario.name);
    if (scenario.engine === 'warm') {
      // The last scenario may have started another engine.
      if (!stack.hasEngine()) await stack.restartEngine();
      if (stack.engine.pid !== warmPid) await warmUp(bench);
      warmPid = stack.engine.pid;
    }
    if (scale.name === 'full') await untilSettled(stack, log);
    const busyShareBefore = await neighbours(scale);
    const startedMs = performance.now();
    const outcome = await scenario.run(bench);
    const seconds = (performance.now() - startedMs) / 1000;
    const { name, title } = scenario;
    await options.onResult({ name, title, ...outcome, seconds, date: new Date().toISOString(), busyShareBefore });
    progress.end();
  }
}

/** How busy the machine is while we do nothing. */
async function neighbours({ name }: Scale): Promise<number> {
  const before = readMachineTime();
  await delay(name === 'smoke' ? 1 : neighboursLookMs);
  return busyShare(before, readMachineTime());
}

/** Null: there is no redis-server here. */
async function startRedis(ends: Ends): Promise<OwnRedis | null> {
  const redis = await OwnRedis.start().catch(() => null);
  if (redis !== null) ends.add(() => redis.stop());
  return redis;
}

/** The peers, each checked before it is measured. */
async function startPeers({ scale, stack, log }: Bench, ends: Ends): Promise<readonly RunningPeer[]> {
  const { credentials } = stack;
  const dataDir = join(stack.dataDir, 'peers');
  await mkdir(dataDir, { recursive: true });
  const isSmoke = scale.name === 'smoke';
  // Not the engine's: that one yields to the engine on purpose, and a peer's database is the peer.
  const database = await createTestDatabase({ durable: !isSmoke, migrated: false });
  ends.add(() => database.close());
  const isRedisHere = await findRedisProgram().then(
    () => true,
    () => false,
  );
  const peers: RunningPeer[] = [];
  for (const name of peerNames) {
    if (!isRedisHere && name.startsWith('redis-')) {
      log(`${name} is left out: there is no redis-server here`);
      continue;
    }
    // Null: the database of a smoke run does not sync, and need not.
    const databasePid = isSmoke ? null : database.serverPid;
    const cardCount = scale.accountCount;
    const started = { dataDir, databaseUrl: database.url, databasePid, cardCount, balanceMinor, credentials };
    // The check uses money up and asks for cards of its own: it gets a peer of its own. In the test suite it has a
    // test.
    if (!isSmoke) {
      const checked = await startPeer(name, started);
      await checkAuthorizer({ port: checked.port, credentials, cardCount, balanceMinor }).finally(() => checked.stop());
    }
    const schema = name === 'fastify-postgres' ? 'peer_lock' : 'peer_function';
    const peer = await startPeer(name, { ...started, schema });
    ends.add(() => peer.stop());
    peers.push(peer);
    log(`${name} is up`);
  }
  return peers;
}
