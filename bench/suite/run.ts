/** Runs scenarios one after the other on one stack: engine, echo, Postgres and, if asked for, the peers. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createTestDatabase } from '../../deploy/testing/test-database.js';
import { findRedisProgram } from '../../deploy/testing/test-redis.js';
import { checkAuthorizer } from '../peers/conformance.js';
import { peerNames, type RunningPeer, startPeer } from '../peers/peers.js';
import { busyShare, readMachineTime } from '../process-stats.js';
import { Ends } from '../scratch.js';
import { type Stack, startStack } from '../stack.js';
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
    // A smoke run shares its cores with other tests: what it proves is not speed.
    ...(scale.name === 'smoke' ? { engineEnv: { DEADLINE_MS: '3000' } } : {}),
    ...(options.databaseUrl === undefined ? {} : { databaseUrl: options.databaseUrl }),
  });
  const peers = new Peers(stack, options, log);
  const stopAll = async () => {
    await peers.stop();
    await stack.stop();
  };
  signal.addEventListener('abort', () => void stopAll());
  try {
    const engineWith = async (env = {}) => {
      if (scale.name !== 'smoke' || !stack.hasEngine(env)) await stack.restartEngine({ env });
    };
    const bench: Bench = { scale, stack, log, engineWith, peers: () => peers.all() };
    let warmPid = -1;
    for (const scenario of options.scenarios) {
      if (signal.aborted) return;
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
  } finally {
    await stopAll();
  }
}

/** How busy the machine is while we do nothing. */
async function neighbours({ name }: Scale): Promise<number> {
  const before = readMachineTime();
  await delay(name === 'smoke' ? 1 : neighboursLookMs);
  return busyShare(before, readMachineTime());
}

/** The peers, each checked before it is measured. */
class Peers {
  readonly #stack: Stack;
  readonly #options: SuiteOptions;
  readonly #log: (line: string) => void;
  readonly #ends: Ends;
  #all: Promise<readonly RunningPeer[]> | null = null;

  constructor(stack: Stack, options: SuiteOptions, log: (line: string) => void) {
    this.#stack = stack;
    this.#options = options;
    this.#log = log;
    this.#ends = new Ends(log);
  }

  all(): Promise<readonly RunningPeer[]> {
    this.#all ??= this.#start();
    return this.#all;
  }

  async #start(): Promise<readonly RunningPeer[]> {
    const { scale } = this.#options;
    const { credentials } = this.#stack;
    const dataDir = join(this.#stack.dataDir, 'peers');
    await mkdir(dataDir, { recursive: true });
    const isSmoke = scale.name === 'smoke';
    // Not the engine's: that one yields to the engine on purpose, and a peer's database is the peer.
    const database = await createTestDatabase({ durable: !isSmoke, migrated: false });
    this.#ends.add(() => database.close());
    const peers: RunningPeer[] = [];
    const isRedisHere = await findRedisProgram().then(
      () => true,
      () => false,
    );
    for (const name of peerNames) {
      if (!isRedisHere && name.startsWith('redis-')) {
        this.#log(`${name} is left out: there is no redis-server here`);
        continue;
      }
      const { url: databaseUrl, serverPid } = database;
      // Null: the database of a smoke run does not sync, and need not.
      const databasePid = isSmoke ? null : serverPid;
      const cardCount = scale.accountCount;
      const started = { dataDir, databaseUrl, databasePid, cardCount, balanceMinor, credentials };
      // The check uses money up and asks for cards of its own: it gets a peer of its own. In the test suite it has a
      // test.
      if (!isSmoke) {
        const checked = await startPeer(name, started);
        await checkAuthorizer({ port: checked.port, credentials, cardCount, balanceMinor }).finally(() =>
          checked.stop(),
        );
      }
      const schema = name === 'fastify-postgres' ? 'peer_lock' : 'peer_function';
      const peer = await startPeer(name, { ...started, schema });
      this.#ends.add(() => peer.stop());
      peers.push(peer);
      this.#log(`${name} is up`);
    }
    return peers;
  }

  async stop(): Promise<void> {
    await this.#all?.catch(() => undefined);
    await this.#ends.run();
  }
}
