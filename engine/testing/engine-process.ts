/**
 * The engine as a process of its own, as a deployment starts it. It is for tests that kill it, starve it, or look at it
 * from outside. Ports, database and data folder stay the same over restarts, so a restart is just another start.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findFreePort } from '../../deploy/free-port.js';
import { processUrl } from '../../deploy/testing/test-database.js';
import { Seals } from '../../platform/redis/seal.js';

export interface EnginePlace {
  readonly databaseUrl: string;
  readonly dataDir: string;
  readonly authPort: number;
  readonly opsPort: number;
}

/** Two free ports beside a database and a folder. */
export async function enginePlace(databaseUrl: string, dataDir: string): Promise<EnginePlace> {
  return { databaseUrl, dataDir, authPort: await findFreePort(), opsPort: await findFreePort() };
}

export const testUser = 'processor';
export const testPassword = 'password-of-tests';
export const testToken = 'token-of-the-tests';
export const testPanKey = 'pan-key-of-the-tests';

/** The suites hold for both journals: TEST_JOURNAL=postgres runs any of them on the other one. */
export const { TEST_JOURNAL: testJournal = 'local' } = process.env;
/** And for any number of front threads: TEST_FRONTS=2. */
const { TEST_FRONTS: testFronts = '1' } = process.env;

/** Small stores and segments, so that evictions, rolls and recycling happen all the time. */
const testDefaults: Readonly<Record<string, string>> = {
  PARTITIONS: '1',
  JOURNAL: testJournal,
  FRONTS: testFronts,
  PEER_PORT: '0',
  ACCOUNTS_MAX: '4096',
  CARDS_MAX: '4096',
  HOLDS_MAX: '65536',
  SEEN_IDS_MAX: '262144',
  JOURNAL_SEGMENT_BYTES: String(2 ** 23),
  JOURNAL_SEGMENTS_MAX: '16',
  LOG_LEVEL: 'info',
  // A busy machine must not turn a decision into a 503; tests of the deadline set their own.
  DEADLINE_MS: '3000',
};

/**
 * For tests in which a successor waits for the lease of an engine that did not release it. That lease lasts a little
 * longer than a feed may be stale, by default half a minute.
 */
export const shortLease = { FEED_STALE_MS_MAX: '5000' };

/** The whole environment of an engine under test: nothing of ours leaks into it. */
export function engineEnvironment(
  place: EnginePlace,
  changes: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const { PATH = '', HOME = '' } = process.env;
  return {
    PATH,
    HOME,
    ...testDefaults,
    DATA_DIR: place.dataDir,
    AUTH_PORT: String(place.authPort),
    OPS_PORT: String(place.opsPort),
    PROCESSOR_USER: testUser,
    PROCESSOR_PASSWORD: testPassword,
    ENGINE_TOKEN: testToken,
    PAN_KEY: testPanKey,
    ...changes,
    DATABASE_URL: processUrl(changes['DATABASE_URL'] ?? place.databaseUrl, 'engine'),
  };
}

/** As engine and API under test have them. */
export const testSeals = () => new Seals([testToken]);

const readyWaitMs = 60_000;
/** Each look is a request: at a hundred a second they cost a tenth of what the start does. */
const readyLookMs = 25;
/** What the process said last, for the message of a failing test. */
const loggedCharsMax = 20_000;

export class EngineProcess {
  readonly place: EnginePlace;
  readonly child: ChildProcess;
  /** Exit code or signal, once it has ended. */
  readonly ended: Promise<number | NodeJS.Signals>;
  #logged = '';

  /** @param openFilesMax its limit of file descriptors; as many as this process may have when not given */
  constructor(place: EnginePlace, changes: Readonly<Record<string, string>> = {}, openFilesMax?: number) {
    this.place = place;
    const main = fileURLToPath(new URL('../main.js', import.meta.url));
    const [command, argv] = withOpenFilesMax(openFilesMax, process.execPath, main);
    this.child = spawn(command, argv, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: engineEnvironment(place, changes),
    });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#logged = (this.#logged + text).slice(-loggedCharsMax);
      });
    }
    // A test that is ended in the middle must not leave an engine behind.
    const killWithUs = () => this.child.kill('SIGKILL');
    process.once('exit', killWithUs);
    this.ended = once(this.child, 'close').then(([code, signal]: (number | NodeJS.Signals | null)[]) => {
      process.removeListener('exit', killWithUs);
      return (signal ?? code) as number | NodeJS.Signals;
    });
  }

  get logged(): string {
    return this.#logged;
  }
  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resolves once authorizations are decided. @returns false when the process ended before */
  async ready(): Promise<boolean> {
    const giveUpAtMs = performance.now() + readyWaitMs;
    while (this.isAlive) {
      if ((await opsStatus(this.place, '/readyz').catch(() => 0)) === 200) return true;
      if (performance.now() > giveUpAtMs)
        throw new Error(`the engine was not ready in time; it said:\n${this.#logged}`);
      await delay(readyLookMs);
    }
    return false;
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** A command line that lowers the limit of file descriptors, soft and hard, before the program begins. */
export function withOpenFilesMax(max: number | undefined, program: string, ...argv: string[]): [string, string[]] {
  return max === undefined ? [program, argv] : ['sh', ['-c', `ulimit -n ${max}; exec "$@"`, 'sh', program, ...argv]];
}

/** Starts an engine and waits until it is ready. Throws when it ends instead, with what it said. */
export async function startEngineProcess(
  place: EnginePlace,
  changes: Readonly<Record<string, string>> = {},
  openFilesMax?: number,
): Promise<EngineProcess> {
  const engine = new EngineProcess(place, changes, openFilesMax);
  if (!(await engine.ready())) throw new Error(`the engine ended while starting; it said:\n${engine.logged}`);
  return engine;
}

export interface OpsReply {
  readonly status: number;
  readonly text: string;
}

/** A GET on the ops port; with the token of the tests under /admin/. */
export async function opsGet(place: Pick<EnginePlace, 'opsPort'>, path: string): Promise<OpsReply> {
  const response = await fetch(`http://127.0.0.1:${place.opsPort}${path}`, {
    headers: path.startsWith('/admin/') ? { authorization: `Bearer ${testToken}` } : {},
    signal: AbortSignal.timeout(10_000),
  });
  return { status: response.status, text: await response.text() };
}

/** A deposit or withdrawal on the ops port. `body` as an object, or text that is sent as it is. */
export async function opsCommand(
  place: Pick<EnginePlace, 'opsPort'>,
  kind: 'deposits' | 'withdrawals',
  accountId: string,
  body: object | string,
): Promise<OpsReply> {
  const response = await fetch(`http://127.0.0.1:${place.opsPort}/admin/accounts/${accountId}/${kind}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${testToken}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  return { status: response.status, text: await response.text() };
}

async function opsStatus(place: EnginePlace, path: string): Promise<number> {
  return (await opsGet(place, path)).status;
}

/** All metrics as they are scraped. */
export async function metrics(place: Pick<EnginePlace, 'opsPort'>): Promise<string> {
  return (await opsGet(place, '/metrics')).text;
}

/** Value of a metric without labels, or of one label set as it is written: `name{partition="0"}`. */
export async function metric(place: Pick<EnginePlace, 'opsPort'>, name: string): Promise<number> {
  const { text } = await opsGet(place, '/metrics');
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  if (line === undefined) throw new Error(`no metric ${name}`);
  return Number(line.slice(name.length + 1));
}

export interface AccountBooks {
  readonly id: string;
  readonly currency: string;
  readonly funds: number;
  readonly available: number;
  readonly held: number;
  readonly posted: number;
}

/** An account's books as the engine has them now. */
export async function engineBooks(place: Pick<EnginePlace, 'opsPort'>, accountId: string): Promise<AccountBooks> {
  const { status, text } = await opsGet(place, `/admin/accounts/${accountId}`);
  if (status !== 200) throw new Error(`account ${accountId}: ${status} ${text}`);
  return JSON.parse(text) as AccountBooks;
}

/** A look often reads all metrics of an engine, 10 ms of CPU: after a while there are fewer looks. */
const lookMsMax = 100;

/**
 * Waits until `holds` answers true. Throws with `what` when that takes longer than `waitMs`.
 * @param lookMs between the first looks; later a tenth of what has passed, up to 100 ms
 */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  waitMs = 20_000,
  lookMs = 10,
): Promise<void> {
  const beganMs = performance.now();
  while (!(await holds())) {
    const passedMs = performance.now() - beganMs;
    if (passedMs > waitMs) throw new Error(`still not so after ${waitMs} ms: ${what}`);
    await delay(Math.max(lookMs, Math.min(lookMsMax, passedMs / 10)));
  }
}

/** Waits until Postgres has every message of partition 0 that was answered before. */
export function untilSettled(place: Pick<EnginePlace, 'opsPort'>): Promise<void> {
  return until('every message is settled', async () => {
    const durable = await metric(place, 'journal_sequence{partition="0"}');
    return (await metric(place, 'shipper_sequence{partition="0"}')) >= durable;
  });
}
