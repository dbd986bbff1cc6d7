/**
 * How much memory a known card costs: makes many cards known to a running engine by asking for the balance of each one,
 * once, and compares the resident memory of its process before and after. What counts is everything that a card in use
 * brings along: profile, account, index entries, and the memory of one answered question.
 *
 * `node dist/bench/memory.js [cards]` (make bench-memory): 1,000,000 cards on a fresh engine.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureAccounts } from './accounts.js';
import { load, newIdPrefix } from './load/load.js';
import { uniformTraffic } from './load/uniform.js';
import { describeMachine } from './machine.js';
import { readResidentBytes } from './process-stats.js';
import { isMain, resultFolder, runUntilSignal } from './run.js';
import { loopback, type Stack, startStack } from './stack.js';

export interface MemoryResult {
  readonly cardCount: number;
  /** Cards that answered with an approval: what the engine knows afterwards. */
  readonly knownCount: number;
  readonly seconds: number;
  readonly cardsPerSecond: number;
  readonly residentBeforeBytes: number | null;
  readonly residentAfterBytes: number | null;
  readonly bytesPerCard: number | null;
  readonly errorCount: number;
  readonly timeoutCount: number;
  readonly wrongCount: number;
}

/** Loading a card may wait for the database; far more than that means it does not come. */
const timeoutMs = 30_000;
const connectionCount = 256;
/** Room for so many accounts and cards is the engine's default. */
const entriesDefault = 2 ** 22;
/** Bounds the run: a card that was not reached by then is missing from `knownCount`. */
const durationMsMax = 1_800_000;

/**
 * What an engine needs for `cards` cards: the longest deadline, since all cards are loaded and one that is declined for
 * lateness would not count, and room for all of them.
 */
export function memoryEngineEnv(cards: number): Readonly<Record<string, string>> {
  const room = String(cards);
  return { DEADLINE_MS: '3000', ...(cards > entriesDefault ? { ACCOUNTS_MAX: room, CARDS_MAX: room } : {}) };
}

/**
 * Adds accounts up to `cardFirst + cardCount − 1` to the database, then asks the engine for the last `cardCount` of
 * them, once each: they must be new to it.
 */
export async function measureMemory(
  stack: Pick<Stack, 'engine' | 'credentials' | 'databaseUrl'>,
  cardFirst: number,
  cardCount: number,
  log: (line: string) => void,
): Promise<MemoryResult> {
  let loggedAtMs = performance.now();
  const logNowAndThen = (line: string) => {
    if (performance.now() - loggedAtMs < 2000) return;
    loggedAtMs = performance.now();
    log(line);
  };
  const accountCount = cardFirst + cardCount - 1;
  await ensureAccounts({
    databaseUrl: stack.databaseUrl,
    count: accountCount,
    balanceMinor: 1_000_000,
    onProgress: (done) => logNowAndThen(`${done} of ${accountCount} accounts are in the database`),
  });
  const residentBeforeBytes = readResidentBytes(stack.engine.pid);
  const result = await load(
    {
      host: loopback,
      port: stack.engine.port,
      traffic: uniformTraffic({
        path: '/v1/authorizations',
        credentials: stack.credentials,
        kind: 'balance_inquiry',
        idPrefix: newIdPrefix('memory'),
        cardFirst,
        cardCount,
        cardsPerAccount: 1,
        cardOrder: 'sequence',
        amountMinorMin: 1,
        amountMinorMax: 1,
        answers: 'decision',
      }),
      pace: { kind: 'closed' },
      connectionCount,
      threadCount: 1,
      warmUpMs: 0,
      durationMs: durationMsMax,
      requestCountMax: cardCount,
      timeoutMs,
      seed: 1,
    },
    { onProgress: (answers) => logNowAndThen(`${answers} of ${cardCount} cards are known to the engine`) },
  );
  // Garbage of the load is collected while nothing happens, as far as the engine does so by itself.
  await delay(1000);
  const residentAfterBytes = readResidentBytes(stack.engine.pid);
  const known = result.rightCount;
  return {
    cardCount,
    knownCount: known,
    seconds: result.seconds,
    cardsPerSecond: result.answersPerSecond,
    residentBeforeBytes,
    residentAfterBytes,
    bytesPerCard:
      residentBeforeBytes === null || residentAfterBytes === null || known === 0
        ? null
        : (residentAfterBytes - residentBeforeBytes) / known,
    errorCount: result.errorCount,
    timeoutCount: result.timeoutCount,
    wrongCount: result.wrongCount,
  };
}

/** A process that was under load before has free memory of its own: what fits there does not show as growth. */
const growthShareMin = 0.25;

function perCard({ bytesPerCard, residentBeforeBytes, residentAfterBytes }: MemoryResult): string {
  if (bytesPerCard === null || residentBeforeBytes === null || residentAfterBytes === null) return '? bytes per card';
  const isGrowth = residentAfterBytes - residentBeforeBytes > residentBeforeBytes * growthShareMin;
  return isGrowth
    ? `${Math.round(bytesPerCard)} bytes per card`
    : 'which had room for most of them, so it says nothing per card (`make bench-memory` and `make bench-micro` do)';
}

/** One line for people. */
export function describeMemory(result: MemoryResult): string {
  const mebibytes = (bytes: number | null) => (bytes === null ? '?' : `${Math.round(bytes / 2 ** 20)} MiB`);
  return (
    `${result.knownCount} of ${result.cardCount} cards known after ${result.seconds.toFixed(1)} s: resident memory ` +
    `${mebibytes(result.residentBeforeBytes)} → ${mebibytes(result.residentAfterBytes)}, ` +
    `${perCard(result)}; ` +
    `${result.errorCount} errors, ${result.timeoutCount} timeouts, ${result.wrongCount} wrong answers`
  );
}

async function main(signal: AbortSignal): Promise<number> {
  const cardCount = Number(process.argv[2] ?? 1_000_000);
  if (!Number.isInteger(cardCount) || cardCount < 1 || cardCount > 10_000_000) {
    process.stderr.write('memory: the number of cards must be an integer from 1 to 10000000\n');
    return 2;
  }
  const log = (line: string) => process.stdout.write(`${line}\n`);
  const machine = await describeMachine();
  const accountCount = 1000;
  const engineEnv = memoryEngineEnv(accountCount + cardCount);
  const stack = await startStack({ accountCount, balanceMinor: 1_000_000, engineEnv, log });
  signal.addEventListener('abort', () => void stack.stop());
  try {
    const result = await measureMemory(stack, accountCount + 1, cardCount, log);
    const folder = resultFolder(machine);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'memory.json'), `${JSON.stringify({ machine, result }, null, 2)}\n`);
    log(describeMemory(result));
    return result.knownCount === cardCount && result.wrongCount === 0 ? 0 : 1;
  } finally {
    await stack.stop();
  }
}

if (isMain(import.meta.url)) await runUntilSignal(main);
